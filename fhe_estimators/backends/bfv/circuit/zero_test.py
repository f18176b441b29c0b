"""The zero test: a polynomial that is 1 at 0 and 0 at 1, ..., D, modulo the plain modulus.

The factors ``k - c`` are paired: ``(k - c) (d + 1 - k - c) = u + k (d + 1 - k)`` with ``u = c (c - (d + 1))`` for all
of them, where ``d`` is D, or D + 1 if that is odd. So it takes ``d / 2`` multiplications, ``ceil(log2 D)`` of them
one after another. The constant factor is left to the leaves' values.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ZeroTest:
    """The polynomial for costs from 0 to ``largest_cost``.

    Parameters
    ----------
    largest_cost : int
        D.
    modulus : int
        The plain modulus, a prime.
    """

    largest_cost: int
    modulus: int

    @property
    def even(self) -> int:
        """``d`` of the module's docstring."""
        return self.largest_cost + self.largest_cost % 2

    @property
    def is_linear(self) -> bool:
        """Whether no multiplication is needed: ``1 - c``."""
        return self.largest_cost <= 1

    @property
    def constants(self) -> list[int]:
        """``k (d + 1 - k)`` of the factors."""
        return [k * (self.even + 1 - k) for k in range(1, self.even // 2 + 1)]

    @property
    def n_products(self) -> int:
        """Multiplications of ciphertexts."""
        return 0 if self.is_linear else len(self.constants)

    @property
    def depth(self) -> int:
        """Multiplications one after another."""
        return 0 if self.is_linear else 1 + max(0, len(self.constants) - 1).bit_length()

    @property
    def factor(self) -> int:
        """What the product of the factors must be multiplied by to be 1 at 0."""
        if self.is_linear:
            return 1
        product = 1
        for constant in self.constants:
            product = product * constant % self.modulus
        return pow(product, -1, self.modulus)
