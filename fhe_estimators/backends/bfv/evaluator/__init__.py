"""The server's half: costs, zero test and leaf sums on ciphertexts. Holds no secret key."""
