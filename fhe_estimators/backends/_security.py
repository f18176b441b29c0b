"""The 128-bit security floor: estimates, a table of limits, and the checks that every engine runs on its parameters."""

from __future__ import annotations

import math
from typing import Any

from ..exceptions import InsecureParametersError, ProtocolError
from ..security import LWEInstance, estimate_security

#: Classical security of all parameters at least.
SECURITY_BITS = 128

#: Largest bit length of the whole coefficient modulus (special prime included) that gives 128-bit
#: classical security for a uniform ternary secret and Gaussian noise of standard deviation 3.19,
#: by ring degree. J.-P. Bossuat et al., "Security Guidelines for Implementing Homomorphic
#: Encryption", IACR Communications in Cryptology 1(4), 2024, table 5.2. (A little stricter than the
#: table of the Homomorphic Encryption Standard that SEAL enforces on its own.)
MAX_COEFF_MODULUS_BITS = {1024: 26, 2048: 53, 4096: 106, 8192: 214, 16384: 430, 32768: 868}

#: Standard deviation of the noise that the table stands for, and the least that any engine may use: attacks by algebra,
#: which no lattice estimate covers, gain from less.
MIN_NOISE_STD = 3.19

#: Largest dimension of a secret that is worth an estimate.
_MAX_DIMENSION = 1 << 17


def security_bits(
    dimension: int, modulus_bits: float, noise_std: float = MIN_NOISE_STD, secret: str = "ternary", n_secrets: int = 1
) -> float:
    """Estimate the classical security of encryption by learning with errors.

    Parameters
    ----------
    dimension : int
        Dimension of the secret: the ring degree, or ring degree times rank.
    modulus_bits : float
        Bits of the modulus; of a ring, all primes together, the special prime included.
    noise_std : float, default=3.19
        Standard deviation of the noise, in units of 1 modulo q.
    secret : {"ternary", "binary", "gaussian"}, default="ternary"
        Distribution of the secret.
    n_secrets : int, default=1
        Secrets that share one public matrix. The more there are, the easier the easiest of them falls: 2^30 of them
        cost 2.6 bits in dimension 1024. The *proof* that many secrets are as hard as one loses all 30 bits, but no
        attack is known that gains as much.

    Returns
    -------
    bits : float
        Cost of the cheapest known attack, log2 of gates.

    See Also
    --------
    fhe_estimators.security.estimate_security : The cost of each attack.

    Examples
    --------
    >>> from fhe_estimators.backends import security_bits
    >>> round(security_bits(1024, 26), 1), round(security_bits(1024, 26, n_secrets=2**30), 1)
    (131.2, 128.5)
    """
    return float(estimate_security(LWEInstance(dimension, modulus_bits, noise_std, secret, n_secrets)).bits)


def check_ring_security(poly_modulus_degree: int, coeff_modulus_bits: int) -> None:
    """Raise `InsecureParametersError` unless the ring offers 128-bit security.

    Parameters
    ----------
    poly_modulus_degree : int
        Ring degree N.
    coeff_modulus_bits : int
        Bit length of the product of all primes, the special prime included.
    """
    limit = MAX_COEFF_MODULUS_BITS.get(poly_modulus_degree) if type(poly_modulus_degree) is int else None
    if limit is None:
        raise InsecureParametersError(
            f"poly_modulus_degree={poly_modulus_degree!r} is not in the security table; use one of "
            f"{sorted(MAX_COEFF_MODULUS_BITS)}."
        )
    if coeff_modulus_bits > limit:
        raise InsecureParametersError(
            f"A coefficient modulus of {coeff_modulus_bits} bits at poly_modulus_degree={poly_modulus_degree} is below "
            f"{SECURITY_BITS}-bit security, which allows {limit} bits. Use a larger ring or a smaller modulus."
        )


def check_lwe_security(
    name: str, *, dimension: int, modulus_bits: float, noise_std: float, secret: str, n_secrets: int = 1
) -> float:
    """Raise `InsecureParametersError` unless a key or ciphertext offers 128-bit security.

    Parameters
    ----------
    name : str
        What the parameters belong to, for the error.
    dimension : int
        Dimension of the secret that it is encrypted under.
    modulus_bits : float
        Bits of the modulus.
    noise_std : float
        Standard deviation of its noise, in units of 1 modulo q; 3.19 at least.
    secret : {"ternary", "binary", "gaussian"}
        Distribution of the secret.
    n_secrets : int, default=1
        Secrets that share one public matrix.

    Returns
    -------
    bits : float
        Estimated by `security_bits`.
    """
    if not 1 <= dimension <= _MAX_DIMENSION:
        raise InsecureParametersError(f"{name}: dimension={dimension} must be from 1 to {_MAX_DIMENSION}.")
    if not MIN_NOISE_STD <= noise_std < 2.0**modulus_bits:
        raise InsecureParametersError(
            f"{name}: noise of standard deviation {noise_std:.3g} is out of range; it must be at least {MIN_NOISE_STD} "
            f"and below the modulus of {modulus_bits:.4g} bits."
        )
    bits = security_bits(dimension, modulus_bits, noise_std, secret, n_secrets)
    if math.floor(bits) < SECURITY_BITS:
        raise InsecureParametersError(
            f"{name}: dimension {dimension}, a modulus of {modulus_bits:.4g} bits, a {secret} secret and noise of "
            f"standard deviation {noise_std:.3g} offer {bits:.1f} bits of security, and {SECURITY_BITS} are needed. "
            "Use a larger dimension, more noise or a smaller modulus."
        )
    return bits


def check_galois_elements(elements: Any, poly_modulus_degree: int) -> list[int]:
    """Automorphisms that a client was told to make keys for: a few odd numbers below 2N.

    Each key takes megabytes, so a long list would take all memory. The keys' security does not depend on it.

    Parameters
    ----------
    elements : list of int
        Galois elements, from an archive.
    poly_modulus_degree : int
        Ring degree N.

    Returns
    -------
    elements : list of int
        The same.

    Raises
    ------
    ProtocolError
        If they are anything else.
    """
    order = 2 * poly_modulus_degree
    if not isinstance(elements, list) or len(elements) > 2 * order.bit_length():
        raise ProtocolError("The galois_elements are malformed: they are no list of a few integers.")
    for element in elements:
        if type(element) is not int or not 1 < element < order or element % 2 == 0:
            raise ProtocolError(f"The galois_elements are malformed: {element!r} is none.")
    return elements
