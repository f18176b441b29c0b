"""CKKS parameters: chosen from depth and precision, checked against the security table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ...exceptions import FHEError, ParameterSelectionError, ProtocolError
from .._security import MAX_COEFF_MODULUS_BITS, check_ring_security, security_bits
from .circuit.noise import ERROR_STDS, MAX_ERROR, CircuitNoise
from .circuit.ring_noise import RingNoise

#: Ring degrees worth considering; larger ones are slower than any reasonable use.
RING_DEGREES = (4096, 8192, 16384, 32768)
#: Largest number of bits unpacked from one ciphertext, as a power of two.
MAX_EXPANSION_LOG2 = 7
#: Bits between a leaf sum and half the modulus: differences are twice as large, and noise comes on top.
_HEADROOM_BITS = 3
#: Relative error of SEAL's encoder and decoder, which compute in double precision.
_FLOAT_ERROR = 2.0**-45
#: A prime more makes a batch a third slower: an upload of small requests that is about six times as large is worse.
_PRICE_OF_A_PRIME = 2.5
#: SEAL's limit on the size of a prime, and the least that still leaves enough primes of a size.
_MAX_PRIME_BITS, _MIN_PRIME_BITS = 60, 26
#: What each number of a parameter set can be at all. Archives bring them, and they are used as sizes.
_RANGES = {
    "prime_bits": (_MIN_PRIME_BITS, _MAX_PRIME_BITS),
    "special_bits": (_MIN_PRIME_BITS, _MAX_PRIME_BITS),
    "n_levels": (1, 64),
    "score_bits": (1, 60),
    "expansion_log2": (0, MAX_EXPANSION_LOG2),
}


@dataclass(frozen=True)
class CKKSParameters:
    """An immutable, validated parameter set.

    Parameters
    ----------
    poly_modulus_degree : int
        Ring degree N; a ciphertext has N/2 slots.
    base_bits : tuple of int
        Bits of the primes of level 1.
    prime_bits : int
        Bits of each rescaling prime, and of the scale of the encrypted bits.
    special_bits : int
        Bits of the key-switching prime.
    n_levels : int
        Levels 1 to ``n_levels``; each but the first has one rescaling prime.
    score_bits : int
        Leaf sums are below ``2 ** score_bits``.
    expansion_log2 : int
        Up to ``2 ** expansion_log2`` bits of a row travel in one ciphertext; 0 makes no Galois keys.

    Raises
    ------
    InsecureParametersError
        Below 128-bit security.
    ValueError
        If a number is out of its range.
    """

    poly_modulus_degree: int
    base_bits: tuple[int, ...]
    prime_bits: int
    special_bits: int
    n_levels: int
    score_bits: int
    expansion_log2: int

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            _check_integer(name, getattr(self, name), low, high)
        if len(self.base_bits) not in (1, 2, 3):
            raise ValueError(f"base_bits={self.base_bits!r} must be one to three primes.")
        for bits in self.base_bits:
            _check_integer("base_bits", bits, _MIN_PRIME_BITS, _MAX_PRIME_BITS)
        check_ring_security(self.poly_modulus_degree, sum(self.coeff_modulus_bits))

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> CKKSParameters:
        """Validated parameters from plain JSON values; `ProtocolError` if they are not parameters."""
        try:
            return cls(**{**values, "base_bits": tuple(values["base_bits"])})
        except FHEError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"The CKKS parameters are malformed: {error}.") from error

    def fits(self, imaginary: float) -> bool:
        """Whether slots may have imaginary parts up to ``imaginary`` integer steps without wrapping around.

        Sums are below ``2 ** score_bits``, differences of sums, and sums of conjugates, twice as large.
        """
        return float(np.hypot(2.0 ** (self.score_bits + 1), imaginary)) < 0.9 * 2.0 ** (
            self.score_bits + _HEADROOM_BITS - 1
        )

    @property
    def coeff_modulus_bits(self) -> tuple[int, ...]:
        """Bits of all primes in SEAL's order: base, rescaling primes from level 2 up, special prime."""
        return (*self.base_bits, *[self.prime_bits] * (self.n_levels - 1), self.special_bits)

    @property
    def security_bits(self) -> float:
        """Estimated security of all keys and ciphertexts; SEAL's noise is a little wider than the table's."""
        return security_bits(self.poly_modulus_degree, sum(self.coeff_modulus_bits))

    @property
    def n_slots(self) -> int:
        return self.poly_modulus_degree // 2

    def n_primes(self, level: int) -> int:
        """Number of data primes of a ciphertext at a level."""
        return len(self.base_bits) + level - 1


def _check_integer(name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name}={value!r} must be an integer from {low} to {high}.")


def least_bit_scale(parameters: CKKSParameters) -> float:
    """Least scale of factors at any level: at most all primes are just below ``2 ** prime_bits``.

    SEAL takes the largest primes that are 1 modulo 2N. Among numbers of ``b`` bits with that property one in about
    ``b ln(2) / 2`` is prime; counted with are gaps six times as long. Deviations double from level to level
    (`circuit.levels`). The scale is never below half the largest one: such parameters are not made.
    """
    step, bits = 2.0 * parameters.poly_modulus_degree, parameters.prime_bits
    deviation = 2.0 * bits * step * len(parameters.coeff_modulus_bits) / 2.0**bits
    return 2.0**bits * max(1 - deviation * 2.0**parameters.n_levels, 0.5)


def predicted_error_std(parameters: CKKSParameters, noise: CircuitNoise) -> float:
    """Standard deviation of the error of a decrypted leaf sum, in integer steps (see `circuit.noise`)."""
    ring = RingNoise(parameters.poly_modulus_degree, parameters.coeff_modulus_bits)
    encrypted = noise.error_std(ring, least_bit_scale(parameters), parameters.expansion_log2)
    return float(np.hypot(encrypted, _FLOAT_ERROR * 2.0**parameters.score_bits))


def select_parameters(
    *, n_levels: int, score_bits: Sequence[int], noise: CircuitNoise, expansions: Sequence[int]
) -> CKKSParameters:
    """The smallest secure ring that evaluates the circuit exactly.

    Within the ring, precision of the leaves is given up first, which is not seen. Then go a little compactness of small
    requests, which makes uploads larger, or a prime more than the base needs: smaller primes under the same special
    prime make key switching less noisy, at a price in time. At last goes the rest of the compactness.

    Parameters
    ----------
    n_levels : int
    score_bits : sequence of int
        Acceptable precisions of leaf sums, the preferred one first.
    noise : CircuitNoise
        The noise for leaf values relative to ``2 ** score_bits``.
    expansions : sequence of int
        Acceptable ``expansion_log2``, the preferred one first.

    Raises
    ------
    ParameterSelectionError
        If no ring degree in the table is large enough.
    """
    special = range(_MAX_PRIME_BITS, _MIN_PRIME_BITS, -2)
    compromises = sorted(
        product(range(len(expansions)), (0, 1)), key=lambda choice: choice[0] + _PRICE_OF_A_PRIME * choice[1]
    )
    for degree in RING_DEGREES:
        for (step, more_primes), bits, special_bits in product(compromises, score_bits, special):
            candidate = _fit_ring(degree, n_levels, bits, special_bits, expansions[step], more_primes)
            if candidate and ERROR_STDS * predicted_error_std(candidate, noise.scaled(2.0**bits)) <= MAX_ERROR:
                return candidate
    raise ParameterSelectionError(
        f"No 128-bit secure CKKS ring evaluates {n_levels} multiplicative levels at {min(score_bits)} bits of score "
        f"precision. Use shallower trees (max_depth), fewer trees, or a backend without a depth limit."
    )


def _fit_ring(
    degree: int, n_levels: int, score_bits: int, special_bits: int, expansion_log2: int, more_primes: int
) -> CKKSParameters | None:
    """The largest primes that fit the security table, or None; ``more_primes`` in the base than it needs."""
    budget = MAX_COEFF_MODULUS_BITS[degree] - special_bits
    message_bits = score_bits + _HEADROOM_BITS
    prime_bits = min((budget - message_bits) // (n_levels + 1), (2 * _MAX_PRIME_BITS - message_bits) // 2)
    if prime_bits < _MIN_PRIME_BITS:
        return None
    base = 2 * prime_bits + message_bits
    n_base = -(-base // _MAX_PRIME_BITS) + more_primes
    base_bits = tuple(base // n_base + (index < base % n_base) for index in range(n_base))
    if min(base_bits) < _MIN_PRIME_BITS:
        return None
    return CKKSParameters(degree, base_bits, prime_bits, special_bits, n_levels, score_bits, expansion_log2)
