"""A worker: integer weights, multiplied with ciphertexts that it cannot read. Holds no secrets."""
