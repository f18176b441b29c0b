"""BFV parameters: chosen from the circuit's noise, checked against the security table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ...exceptions import ParameterSelectionError, ProtocolError
from .._security import MAX_COEFF_MODULUS_BITS, check_ring_security
from .circuit.noise import NoiseSteps, rounding_budget_bits

#: Ring degrees worth considering.
RING_DEGREES = (8192, 16384, 32768)
#: A prime that is 1 modulo twice every ring degree, as slots need.
PLAIN_MODULUS = 65537
#: Bits of the noise budget that results of new programs have left.
MARGIN_BITS = 14.0
#: The same of any program, stored ones included: clients take a result with less for a forgery.
LEAST_MARGIN_BITS = 7.0
_MAX_PRIME_BITS, _MIN_PRIME_BITS = 60, 36
#: Bits of the first prime, modulo which results are sent: 65,537 times the noise that rounding to it leaves, and the
#: margin.
_RESULT_BITS = 41
_PLAIN_BITS = math.log2(PLAIN_MODULUS)


@dataclass(frozen=True)
class BFVParameters:
    """An immutable, validated parameter set.

    Parameters
    ----------
    poly_modulus_degree : int
        Ring degree N, the number of slots.
    prime_bits : tuple of int
        Bits of the data primes; a result is sent modulo the first alone.
    special_bits : int
        Bits of the key-switching prime.

    Raises
    ------
    InsecureParametersError
        If the parameters are below 128-bit security.
    """

    poly_modulus_degree: int
    prime_bits: tuple[int, ...]
    special_bits: int

    def __post_init__(self) -> None:
        check_ring_security(self.poly_modulus_degree, sum(self.coeff_modulus_bits))
        if not self.prime_bits or not all(
            type(bits) is int and _MIN_PRIME_BITS <= bits <= _MAX_PRIME_BITS for bits in self.coeff_modulus_bits
        ):
            raise ProtocolError(
                f"Primes of {self.coeff_modulus_bits} bits are refused: they have from {_MIN_PRIME_BITS} to "
                f"{_MAX_PRIME_BITS}."
            )

    @property
    def coeff_modulus_bits(self) -> tuple[int, ...]:
        """Bits of all primes in SEAL's order, the special prime last."""
        return (*self.prime_bits, self.special_bits)

    @classmethod
    def from_json(cls, values: Any) -> BFVParameters:
        """Validated parameters from plain JSON values; `ProtocolError` if they are not parameters."""
        try:
            return cls(**{**values, "prime_bits": tuple(values["prime_bits"])})
        except (KeyError, TypeError) as error:
            raise ProtocolError(f"The BFV parameters are malformed: {error}.") from error


def fit_ring(degree: int, steps: NoiseSteps) -> BFVParameters | None:
    """The fewest and smallest primes with which a ring evaluates a circuit exactly, or None."""
    rounding = rounding_budget_bits(degree, _PLAIN_BITS, _RESULT_BITS)
    margin = -math.log2(2**-MARGIN_BITS - 2**-rounding)
    for n_primes in range(2, 16):
        needed = steps.needed_modulus_bits(degree, _PLAIN_BITS, n_primes) + margin - _RESULT_BITS
        bits = max(math.ceil(needed / (n_primes - 1)), _RESULT_BITS)
        if bits > _MAX_PRIME_BITS:
            continue
        if _RESULT_BITS + n_primes * bits <= MAX_COEFF_MODULUS_BITS[degree]:
            return BFVParameters(degree, (_RESULT_BITS, *(bits,) * (n_primes - 1)), bits)
    return None


def result_budget_bits(parameters: BFVParameters, steps: NoiseSteps) -> float:
    """Bits of the noise budget that a result has left: by the noise of its evaluation, and by that of rounding it."""
    degree, primes = parameters.poly_modulus_degree, parameters.prime_bits
    evaluated = sum(primes) - steps.needed_modulus_bits(degree, _PLAIN_BITS, len(primes))
    rounded = rounding_budget_bits(degree, _PLAIN_BITS, primes[0])
    return -math.log2(2**-evaluated + 2**-rounded)


def suffices(parameters: BFVParameters, steps: NoiseSteps) -> bool:
    """Whether results of a stored program have a noise budget that clients accept."""
    fits_model = parameters.special_bits >= max(parameters.prime_bits)  # as the noise of key switching assumes
    return fits_model and result_budget_bits(parameters, steps) >= LEAST_MARGIN_BITS


def too_deep(largest_cost: int, n_bits: int) -> ParameterSelectionError:
    """What to say where no ring will do."""
    return ParameterSelectionError(
        f"No 128-bit secure BFV ring evaluates leaves that depend on {largest_cost} features of {n_bits} bits in all. "
        "Use shallower trees (max_depth), quantizer='threshold', fewer bits (UniformQuantizer(n_bits=6)), or "
        "backend='ckks'."
    )
