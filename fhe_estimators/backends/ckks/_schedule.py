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

from ...ensembles import TreeEnsemble
from ._polynomial import CONSTANT, Branch, LinearForm, Sum, merge_trees, total_linear
from ._tests import TestTable

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
        The top level ``L``.
    circuit_level : int
        Level of the shortest branches: the top, or one below if bits are composed of inputs by products.
    test_levels : ndarray of shape (n_tests,), int64
        The highest level at which each test's bit is used, 0 if it is not used at all.
    """

    sums: list[Sum]
    n_levels: int
    circuit_level: int
    test_levels: np.ndarray

    def product_level(self, branch: Branch) -> int:
        """Level of the multiplication of a branch."""
        return self.circuit_level - branch.height + 2

    def difference_level(self, branch: Branch) -> int:
        """Level at which ``high - low`` is summed up, before its rescaling if it is a taller branch."""
        return self.circuit_level if branch.height == 2 else self.product_level(branch) + 1

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


def schedule(ensemble: TreeEnsemble, table: TestTable) -> Schedule:
    """Merge the trees and assign levels, to each branch the highest its height allows."""
    constants = {test: recipe.constant for test, recipe in enumerate(table.recipes) if recipe.is_constant}
    sums = merge_trees(ensemble, table.of_node, constants)
    circuit_level = max(1, max(total.height for total in sums) - 1)
    plan = Schedule(sums, circuit_level + table.has_products, circuit_level, np.zeros(len(table), dtype=np.int64))
    for total in sums:
        _raise_levels(plan, total_linear(total), OUTPUT_LEVEL)
        for branch in iterate_branches(total):
            _raise_levels(plan, {branch.test: 1}, plan.product_level(branch))
            _raise_levels(plan, branch.difference, plan.difference_level(branch))
    if table.hides_bins:  # composed bits appear at the circuit's level
        plan.test_levels[plan.test_levels > 0] = circuit_level
    return plan


def _raise_levels(plan: Schedule, form: LinearForm, level: int) -> None:
    for test in form:
        if test != CONSTANT:
            plan.test_levels[test] = max(plan.test_levels[test], level)
