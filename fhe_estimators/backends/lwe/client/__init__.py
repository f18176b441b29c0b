"""The client's half: secrets, encryption, decryption and the checks of a worker's responses."""
