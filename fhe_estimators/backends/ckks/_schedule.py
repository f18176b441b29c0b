"""Levels: at which modulus each branch is multiplied and each bit is needed.

A ciphertext at level ``l >= 1`` lives modulo ``base * q_2 * ... * q_l``, where the base is the product of
the one or two lowest primes; ``L`` is the top level and a product of ``L + 1`` bits is the longest. Let
the *bit scale* of level ``l < L`` be ``beta_l = q_{l+1}`` and that of the top level ``beta_L = q_L``, and
let ``T = beta_L ** 2``. Every product and every sum of products has the scale ``T``, at every level,
because the scales are made to cancel:

- a branch of height 2 multiplies, at level ``L``, a bit (scale ``beta_L``) with a linear form of bits
  (the same scale; the coefficients are integers at scale 1);
- any taller branch brings ``high - low`` from level ``l + 1`` (scale ``T``) to level ``l`` by a rescaling
  (scale ``T / q_{l+1}``) and multiplies it with a bit at scale ``beta_l = q_{l+1}``, which gives ``T``.

So sums over different heights need no alignment but dropping primes, which is free of noise, and the
answer, at level 1, needs no last rescaling. Tracking a scale a level is the idea of A. Kim,
A. Papadimitriou and Y. Polyakov, "Approximate Homomorphic Encryption with Reduced Approximation
Error", CT-RSA 2022; choosing the bits' scales so that all products agree is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ._polynomial import CONSTANT, Branch, Sum, total_linear


#: Level of the sum over all branches.
OUTPUT_LEVEL = 1


@dataclass(frozen=True, eq=False)
class Schedule:
    """A circuit with levels.

    Attributes
    ----------
    sums : list of Sum
        One a score.
    n_levels : int
        The top level ``L``: the ensemble's multiplicative depth, at least 1.
    test_levels : ndarray of shape (n_tests,), int64
        The highest level at which each test's bit is used, 0 if it is not used at all.
    """

    sums: list[Sum]
    n_levels: int
    test_levels: np.ndarray

    def product_level(self, branch: Branch) -> int:
        """Level of the multiplication of a branch."""
        return self.n_levels - branch.height + 2

    def difference_level(self, branch: Branch) -> int:
        """Level at which ``high - low`` is summed up, before its rescaling if it is a taller branch."""
        return self.n_levels if branch.height == 2 else self.product_level(branch) + 1

    def n_products(self) -> int:
        """Ciphertext-ciphertext multiplications a batch."""
        return sum(1 for total in self.sums for _ in iterate_branches(total))

    def n_relinearizations(self) -> int:
        """Relinearizations a batch, those of the answers included."""
        tall = sum(branch.height > 2 for total in self.sums for branch in iterate_branches(total))
        return tall + sum(bool(total.branches) for total in self.sums)


def iterate_branches(total: Sum) -> Iterator[Branch]:
    """All branches below a sum, children before their parents."""
    for branch in total.branches:
        yield from iterate_branches(branch.low)
        yield from iterate_branches(branch.high)
        yield branch


def schedule(sums: list[Sum], n_tests: int) -> Schedule:
    """Assign levels, each branch as high as its height allows."""
    height = max(total.height for total in sums)
    plan = Schedule(sums, max(1, height - 1), np.zeros(n_tests, dtype=np.int64))
    for total in sums:
        _raise_levels(plan, total_linear(total), OUTPUT_LEVEL)
        for branch in iterate_branches(total):
            _raise_levels(plan, {branch.test: 1}, plan.product_level(branch))
            _raise_levels(plan, branch.difference, plan.difference_level(branch))
    return plan


def _raise_levels(plan: Schedule, form: dict[int, int], level: int) -> None:
    for test in form:
        if test != CONSTANT:
            plan.test_levels[test] = max(plan.test_levels[test], level)
