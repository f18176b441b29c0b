"""Operations on ciphertexts, as the circuit asks for them: levels, sizes and scales are kept here.

What carries them out is a subclass: `seal_arithmetic.SEALArithmetic` on a server, and `costs.CountingArithmetic` to
tell time and memory beforehand. Both follow the same circuit, step by step.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, eq=False)
class Encrypted:
    """A ciphertext with what is known of it.

    Attributes
    ----------
    ciphertext : object
        Of the library.
    level : int
        See `circuit.levels`.
    size : int
        Polynomials: 2, or 3 if it is a product that was not relinearized.
    scale : float
    """

    ciphertext: Any
    level: int
    size: int
    scale: float


class Arithmetic(ABC):
    """Homomorphic operations; each says what it costs.

    Parameters
    ----------
    scales : dict of int to float
        Scale of factors at each level: ``beta_l`` of `circuit.levels`.
    primes : dict of int to int
        Rescaling prime of each level from 2 up.
    """

    def __init__(self, scales: dict[int, float], primes: dict[int, int]):
        self.scales = scales
        self.primes = primes

    @property
    def top_level(self) -> int:
        """Level of fresh inputs at most."""
        return max(self.scales)

    def made(self, ciphertext: Any, level: int, size: int, scale: float) -> Encrypted:
        """A ciphertext of the library, with what is known of it."""
        return Encrypted(ciphertext, level, size, scale)

    def multiply(self, a: Encrypted, b: Encrypted) -> Encrypted:
        """A product, of size 3 at the product of the scales: one multiplication."""
        return self.made(self._multiply(a, b), a.level, 3, self.scales[a.level] ** 2)

    def relinearize(self, a: Encrypted) -> Encrypted:
        """A product of size 2: one key switching; as it is if it has that size."""
        return a if a.size == 2 else self.made(self._relinearize(a), a.level, 2, a.scale)

    def rescale(self, a: Encrypted, scale: float) -> Encrypted:
        """One level down, at a scale that the caller knows: one rescaling."""
        return self.made(self._rescale(a), a.level - 1, a.size, scale)

    def drop(self, a: Encrypted, level: int) -> Encrypted:
        """At a lower level and the same scale: copies what stays, free of noise. As it is if it is there."""
        return a if a.level == level else self.made(self._drop(a, level), level, a.size, a.scale)

    def signed(self, a: Encrypted, sign: int) -> Encrypted:
        """A copy, or the negative."""
        return self.made(self._copy(a) if sign > 0 else self._negate(a), a.level, a.size, a.scale)

    def add(self, a: Encrypted, b: Encrypted, sign: int = 1) -> None:
        """Add ``sign * b`` to ``a``, in place."""
        self._add(a, b, sign)
        a.size = max(a.size, b.size)

    def multiple(self, a: Encrypted, factor: float, scale: float) -> Encrypted:
        """``factor * a`` at another scale, by one plain multiplication with the nearest integer: takes no level."""
        return self.made(self._multiple(a, factor * (scale / a.scale)), a.level, a.size, scale)

    def add_constant(self, a: Encrypted, value: float) -> None:
        """Add a number to all slots, in place."""
        self._add_constant(a, value)

    def turn(self, a: Encrypted) -> None:
        """Multiply by ``-X ** (N / 2)``, in place: turns imaginary parts into real ones."""
        self._turn(a)

    def conjugate(self, a: Encrypted) -> Encrypted:
        """All slots conjugated: one key switching."""
        return self.made(self._conjugate(a), a.level, a.size, a.scale)

    def automorphism(self, a: Encrypted, element: int) -> Encrypted:
        """``X -> X ** element``: one key switching."""
        return self.made(self._automorphism(a, element), a.level, a.size, a.scale)

    def shift(self, a: Encrypted, exponent: int) -> None:
        """Multiply by ``X ** -exponent``, in place: one plain multiplication."""
        self._shift(a, exponent)

    @abstractmethod
    def _multiply(self, a: Encrypted, b: Encrypted) -> Any: ...

    @abstractmethod
    def _relinearize(self, a: Encrypted) -> Any: ...

    @abstractmethod
    def _rescale(self, a: Encrypted) -> Any: ...

    @abstractmethod
    def _drop(self, a: Encrypted, level: int) -> Any: ...

    @abstractmethod
    def _copy(self, a: Encrypted) -> Any: ...

    @abstractmethod
    def _negate(self, a: Encrypted) -> Any: ...

    @abstractmethod
    def _add(self, a: Encrypted, b: Encrypted, sign: int) -> None: ...

    @abstractmethod
    def _multiple(self, a: Encrypted, factor: float) -> Any: ...

    @abstractmethod
    def _add_constant(self, a: Encrypted, value: float) -> None: ...

    @abstractmethod
    def _turn(self, a: Encrypted) -> None: ...

    @abstractmethod
    def _conjugate(self, a: Encrypted) -> Any: ...

    @abstractmethod
    def _automorphism(self, a: Encrypted, element: int) -> Any: ...

    @abstractmethod
    def _shift(self, a: Encrypted, exponent: int) -> None: ...
