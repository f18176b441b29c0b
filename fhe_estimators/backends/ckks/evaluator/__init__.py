"""The server's half: evaluation of the circuit on ciphertexts. Holds no secret key."""
