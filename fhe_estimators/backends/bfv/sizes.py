"""Sizes of SEAL's compressed objects, in bytes, as they travel (within a few per cent)."""

from __future__ import annotations

from .parameters import BFVParameters

#: SEAL's general-purpose compression does not reach the entropy of the residues.
_COMPRESSION_LOSS = 1.15
_HEADER_BYTES = 200
#: Memory of encoded diagonals that an evaluator keeps.
CACHE_BYTES = 1 << 30


def _polynomial_bytes(degree: int, prime_bits: tuple[int, ...]) -> int:
    return int(degree * sum(min(8.0, bits / 8 * _COMPRESSION_LOSS) for bits in prime_bits))


def seeded_ciphertext_bytes(parameters: BFVParameters) -> int:
    """A fresh ciphertext: one polynomial and a seed."""
    return _polynomial_bytes(parameters.poly_modulus_degree, parameters.prime_bits) + _HEADER_BYTES


def public_ciphertext_bytes(parameters: BFVParameters) -> int:
    """A ciphertext of a result: two polynomials modulo one prime."""
    return 2 * _polynomial_bytes(parameters.poly_modulus_degree, parameters.prime_bits[:1]) + _HEADER_BYTES


def switching_key_bytes(parameters: BFVParameters) -> int:
    """A relinearization or Galois key: a seeded ciphertext over all primes for every data prime."""
    of_digit = _polynomial_bytes(parameters.poly_modulus_degree, parameters.coeff_modulus_bits) + _HEADER_BYTES
    return len(parameters.prime_bits) * of_digit


def plaintext_bytes(parameters: BFVParameters) -> int:
    """An encoded diagonal in memory."""
    return 8 * parameters.poly_modulus_degree * len(parameters.prime_bits)
