"""Levels and scales: at which modulus each branch is multiplied and each bit is needed.

A ciphertext at level ``l >= 1`` lives modulo ``base * q_2 * ... * q_l``, where the base is the product of
the one or two lowest primes; ``L`` is the top level and a product of ``L + 1`` bits is the longest. Let
``beta_l = q_{l+1}`` for ``l < L``, ``beta_L = q_L`` and ``T = beta_L ** 2``. Every product and every sum of
products has the scale ``T``, at every level, because the scales of the bits are made to cancel:

- a branch of height 2 multiplies, at any level ``l``, a bit at scale ``beta_l`` with a linear form of bits
  at scale ``T / beta_l`` (the coefficients are integers at scale 1);
- any taller branch brings ``high - low`` from level ``l + 1`` (scale ``T``) to level ``l`` by a rescaling
  (scale ``T / q_{l+1}``) and multiplies it with a bit at scale ``beta_l = q_{l+1}``, which gives ``T``.

So sums over different heights need no alignment but dropping primes, which is free of noise, and the
answer, at level 1, needs no last rescaling. Branches are multiplied as late, hence as low, as possible:
the outermost ones at level 1, where ciphertexts are smallest. Tracking a scale a level is the idea of
A. Kim, A. Papadimitriou and Y. Polyakov, "Approximate Homomorphic Encryption with Reduced Approximation
Error", CT-RSA 2022; choosing the bits' scales so that all products agree is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...ensembles import TreeEnsemble
from ._inputs import FACTOR, TERM
from ._polynomial import CONSTANT, Branch, Sum, merge_trees, total_linear
from ._tests import TestTable

#: Level of the sum over all branches.
OUTPUT_LEVEL = 1


@dataclass(frozen=True, eq=False)
class Schedule:
    """A circuit with levels.

    Attributes
    ----------
    sums : list of Sum
        One a score; the level of each branch's product is set.
    n_levels : int
        The top level ``L``.
    circuit_level : int
        Level at which composed bits appear: the top, or one below if composing takes a product.
    test_levels : ndarray of shape (n_tests,), int64
        The level at which each test's bit is made, 0 if it is not used at all.
    test_roles : ndarray of shape (n_tests,), int64
        `FACTOR` (scale ``beta_l``) if the bit is a factor anywhere, else `TERM` (scale ``T / beta_l``).
    """

    sums: list[Sum]
    n_levels: int
    circuit_level: int
    test_levels: np.ndarray
    test_roles: np.ndarray

    def n_products(self) -> int:
        """Ciphertext-ciphertext multiplications a batch."""
        return sum(1 for total in self.sums for _ in iterate_branches(total))

    def n_relinearizations(self) -> int:
        """Relinearizations a batch, those of the answers included."""
        tall = sum(branch.height > 2 for total in self.sums for branch in iterate_branches(total))
        return tall + sum(bool(total.branches) for total in self.sums)


def difference_level(branch: Branch) -> int:
    """Level at which ``high - low`` is summed up, before its rescaling if it is a taller branch."""
    return branch.level if branch.height == 2 else branch.level + 1


def iterate_branches(total: Sum) -> Iterator[Branch]:
    """All branches below a sum, children before their parents."""
    for branch in total.branches:
        yield from iterate_branches(branch.low)
        yield from iterate_branches(branch.high)
        yield branch


def schedule(ensemble: TreeEnsemble, table: TestTable) -> Schedule:
    """Merge the trees and assign levels, to each branch the lowest that its place allows."""
    constants = {test: recipe.constant for test, recipe in enumerate(table.recipes) if recipe.is_constant}
    sums = merge_trees(ensemble, table.of_node, constants)
    circuit_level = max(1, max(total.height for total in sums) - 1)
    for total in sums:
        # Composed bits all appear at one level and scale, so forms of them stay there.
        _set_levels(total, OUTPUT_LEVEL, circuit_level if table.hides_bins else None)
    n_levels = circuit_level + table.has_products
    levels, roles = _bits_needed(sums, len(table), n_levels)
    if table.hides_bins:
        levels[levels > 0] = circuit_level
        roles[:] = FACTOR
    return Schedule(sums, n_levels, circuit_level, levels, roles)


def _set_levels(total: Sum, level: int, level_of_forms: int | None) -> None:
    for branch in total.branches:
        branch.level = level if branch.height > 2 or level_of_forms is None else level_of_forms
        for side in (branch.low, branch.high):
            _set_levels(side, level + 1, level_of_forms)


def _bits_needed(sums: list[Sum], n_tests: int, n_levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Level and role in which each bit must be made for all its uses to be reachable from it."""
    levels = np.zeros(n_tests, dtype=np.int64)
    roles = np.full(n_tests, TERM, dtype=np.int64)
    form_levels = np.zeros(n_tests, dtype=np.int64)  # highest level at which it is a term of a branch of height 2

    def use(form: dict[int, int], level: int, in_product: bool = False) -> None:
        tests = [test for test in form if test != CONSTANT]
        levels[tests] = np.maximum(levels[tests], level)
        if in_product:
            form_levels[tests] = np.maximum(form_levels[tests], level)

    for total in sums:
        use(total_linear(total), OUTPUT_LEVEL)
        for branch in iterate_branches(total):
            use({branch.test: 1}, branch.level)
            roles[branch.test] = FACTOR
            use(branch.difference, difference_level(branch), in_product=branch.height == 2)
    # Below the two top levels the scales of the roles differ: a bit in both is rescaled to the second one.
    both = (roles == FACTOR) & (form_levels == levels) & (levels > 0) & (levels < n_levels - 1)
    levels[both] += 1
    return levels, roles
