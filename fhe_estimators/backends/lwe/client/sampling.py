"""Secrets and noise of an encryption, each a function of a secret key of 32 bytes and of nothing else.

The noise follows the centred binomial distribution: the number of ones among `NOISE_BITS` fair bits, less its mean. It
is sampled exactly: however many samples an attacker sees, there is no distance to an ideal distribution to account for,
as there is for tables of finite precision, and every value takes the same time. Its security is argued as that of
ML-KEM (FIPS 203, 2024), which samples its noise so and assumes that module-LWE with it is hard:

- lattice attacks depend on the standard deviation of the noise, not on its shape (E. Alkim, L. Ducas, T. Poeppelmann
  and P. Schwabe, "Post-quantum key exchange: a new hope", USENIX Security 2016); here it is 3.24, no less than the 3.19
  of the security table;
- the attack that does depend on the shape makes polynomial equations of noise that takes few values (S. Arora and R.
  Ge, "New algorithms for learning in presence of errors", ICALP 2011). With the 43 values here they are of degree 43 in
  1,024 unknowns or more, and linearizing them takes more than 2^250 monomials.
"""

from __future__ import annotations

import numpy as np
import torch

from .._randomness import Keystream
from ..parameters import NOISE_BITS, LWEParameters

#: Values that are sampled together: of each of `NOISE_BITS` rows of 64 bytes, value n takes bit n // 64 of byte n % 64.
UNIT_VALUES = 512
_ROW_BYTES = UNIT_VALUES // 8


def ternary_secret(key: bytes, parameters: LWEParameters) -> np.ndarray:
    """Secret uniform in {-1, 0, 1}, by rejection from bytes.

    Parameters
    ----------
    key : bytes
        32 secret bytes.
    parameters : LWEParameters
        The parameters of the encryption.

    Returns
    -------
    secret : ndarray of int8, shape (rank, ring_degree)
        Polynomials of the secret.
    """
    dimension = parameters.dimension
    stream, found = Keystream(key), np.empty(0, dtype=np.uint8)
    while len(found) < dimension:
        drawn = stream.words((2 * dimension,), np.uint8)
        found = np.concatenate([found, drawn[drawn < 255]])  # 255 = 3 * 85: without the last value no bias is left
    return (found[:dimension] % 3).astype(np.int8).reshape(parameters.rank, parameters.ring_degree) - np.int8(1)


def n_units(n_values: int) -> int:
    """Number of units that hold so many values of noise."""
    return -(-n_values // UNIT_VALUES)


def noise_stream(key: bytes, start: int, stop: int, n_bits: int = NOISE_BITS) -> np.ndarray:
    """Uniform bits of some units of noise.

    Parameters
    ----------
    key : bytes
        32 secret bytes.
    start, stop : int
        Units. They are the same whatever the range asked for.
    n_bits : int, default=NOISE_BITS
        Bits that a value is the sum of.

    Returns
    -------
    bits : ndarray of uint64, shape (stop - start, n_bits, 8)
        Rows of 64 bytes.
    """
    stream = Keystream(key, start_byte=start * n_bits * _ROW_BYTES)
    return stream.words((stop - start, n_bits, _ROW_BYTES // 8), np.uint64)


def centred_binomial(bits: torch.Tensor) -> torch.Tensor:
    """Noise from uniform bits; the compiled loops do the same on whole words.

    Parameters
    ----------
    bits : tensor of uint8, shape (n_units, n_bits, 64)
        From `noise_stream`, as bytes.

    Returns
    -------
    noise : tensor of int8, shape (n_units * UNIT_VALUES,)
        Integers from ``-n_bits / 2`` to ``n_bits / 2``.
    """
    ones = torch.stack([((bits >> k) & 1).sum(dim=1, dtype=torch.int8) for k in range(8)], dim=1)
    return ones.flatten() - bits.shape[1] // 2
