"""Test vectors of the whole protocol, from the slow reference: ``python -m tests.backends.lwe.vectors`` writes them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from tests.backends.lwe import reference

FILE = Path(__file__).parents[2] / "data" / "lwe_vectors.json"
#: Dimension, bits of the modulus, degree of the ring, tokens: both parameter sets, with rank 1 and with more.
CASES = {
    "fast": (1024, 26, 1024, 3),
    "fast, rank 256": (1024, 26, 4, 4),
    "precise": (2048, 32, 2048, 3),
    "precise, rank 32": (2048, 32, 64, 3),
}
_WEIGHTS = [[127, -128, 0], [-127, 1, 85]]


def key(label):
    """32 bytes that show where they come from."""
    return hashlib.sha256(label.encode()).digest()


def _messages(scheme, n_tokens):
    """Integers of each sign, from nothing to as large as does not wrap."""
    largest = 2 ** (scheme.modulus_bits - 1) // 300
    return [[0, 0], [1, -1], [largest, -largest], [-12345, largest]][:n_tokens]


def _hexadecimal(polynomials):
    return ["".join(f"{word:08x}" for word in polynomial) for polynomial in polynomials]


def words(hexadecimal):
    """Integers from eight hexadecimal digits each."""
    return [int(hexadecimal[i : i + 8], 16) for i in range(0, len(hexadecimal), 8)]


def make(name):
    """One vector: everything that client and worker make of three keys, messages and weights."""
    *parameters, n_tokens = CASES[name]
    scheme = reference.Scheme(*parameters)
    seed, secret_key, noise_key = (key(f"{name}: {what}") for what in ("seed", "secret", "noise"))
    messages = _messages(scheme, n_tokens)
    ciphertexts = reference.encrypt(scheme, seed, secret_key, noise_key, messages)
    hints = reference.hint(scheme, seed, _WEIGHTS)
    response = reference.multiply(ciphertexts, _WEIGHTS)
    secret = reference.ternary_secret(scheme, secret_key)
    return {
        "dimension": scheme.dimension,
        "modulus_bits": scheme.modulus_bits,
        "ring_degree": scheme.ring_degree,
        "seed": seed.hex(),
        "secret_key": secret_key.hex(),
        "noise_key": noise_key.hex(),
        "public_matrix": [_hexadecimal(reference.public_row(scheme, seed, feature)) for feature in range(2)],
        "secret": ["".join("-0+"[value + 1] for value in polynomial) for polynomial in secret],
        "noise": reference.noise(noise_key, 2 * n_tokens),
        "messages": messages,
        "ciphertexts": ciphertexts,
        "weights": _WEIGHTS,
        "hint": [_hexadecimal(row) for row in hints],
        "response": response,
        "decrypted": reference.decrypt(scheme, secret_key, hints, response),
        "products": reference.multiply_exactly(messages, _WEIGHTS),
    }


def read():
    """The stored vectors."""
    return json.loads(FILE.read_text())


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: make(name) for name in CASES}, indent=1) + "\n")
