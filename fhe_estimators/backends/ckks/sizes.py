"""Sizes of SEAL's compressed objects, in bytes, as they travel (within a few per cent)."""

from __future__ import annotations

from .parameters import CKKSParameters

#: SEAL's general-purpose compression does not reach the entropy of the residues.
_COMPRESSION_LOSS = 1.15
_HEADER_BYTES = 200


def _polynomial_bytes(parameters: CKKSParameters, prime_bits: tuple[int, ...]) -> int:
    return int(parameters.poly_modulus_degree * sum(min(8.0, b / 8 * _COMPRESSION_LOSS) for b in prime_bits))


def seeded_ciphertext_bytes(parameters: CKKSParameters, level: int) -> int:
    """A fresh ciphertext: one polynomial and a seed."""
    primes = parameters.coeff_modulus_bits[: parameters.n_primes(level)]
    return _polynomial_bytes(parameters, primes) + _HEADER_BYTES


def public_ciphertext_bytes(parameters: CKKSParameters, level: int) -> int:
    """A response: two polynomials."""
    return 2 * seeded_ciphertext_bytes(parameters, level)


def relin_key_bytes(parameters: CKKSParameters) -> int:
    """Relinearization key: a seeded ciphertext over all primes for every data prime."""
    per_digit = _polynomial_bytes(parameters, parameters.coeff_modulus_bits)
    return len(parameters.coeff_modulus_bits[:-1]) * (per_digit + _HEADER_BYTES)


def public_key_bytes(parameters: CKKSParameters) -> int:
    """An encryption of zero over all primes: two polynomials."""
    return 2 * (_polynomial_bytes(parameters, parameters.coeff_modulus_bits) + _HEADER_BYTES)


#: A Galois key has the form of a relinearization key.
galois_key_bytes = relin_key_bytes
