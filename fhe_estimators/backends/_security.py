"""The 128-bit security floor, as a table that every backend checks its parameters against."""

from __future__ import annotations

from ..exceptions import InsecureParametersError

#: Largest bit length of the whole coefficient modulus (special prime included) that gives 128-bit
#: classical security for a uniform ternary secret and Gaussian noise of standard deviation 3.19,
#: by ring degree. J.-P. Bossuat et al., "Security Guidelines for Implementing Homomorphic
#: Encryption", IACR Communications in Cryptology 1(4), 2024, table 5.2. (A little stricter than the
#: table of the Homomorphic Encryption Standard that SEAL enforces on its own.)
MAX_COEFF_MODULUS_BITS = {1024: 26, 2048: 53, 4096: 106, 8192: 214, 16384: 430, 32768: 868}

SECURITY_BITS = 128


def check_ring_security(poly_modulus_degree: int, coeff_modulus_bits: int) -> None:
    """Raise `InsecureParametersError` unless the ring offers 128-bit security.

    Parameters
    ----------
    poly_modulus_degree : int
        Ring degree N.
    coeff_modulus_bits : int
        Bit length of the product of all primes, the special prime included.
    """
    limit = MAX_COEFF_MODULUS_BITS.get(poly_modulus_degree)
    if limit is None:
        raise InsecureParametersError(
            f"poly_modulus_degree={poly_modulus_degree} is not in the security table; use one of "
            f"{sorted(MAX_COEFF_MODULUS_BITS)}."
        )
    if coeff_modulus_bits > limit:
        raise InsecureParametersError(
            f"A coefficient modulus of {coeff_modulus_bits} bits at poly_modulus_degree={poly_modulus_degree} is below "
            f"{SECURITY_BITS}-bit security, which allows {limit} bits. Use a larger ring or a smaller modulus."
        )
