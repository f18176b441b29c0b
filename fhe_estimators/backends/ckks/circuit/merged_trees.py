"""Trees merged into sums of branches: the polynomial to evaluate, with few products.

A tree node with comparison bit ``b`` is ``low + b * (high - low)``, so a forest is a polynomial in
the bits of its comparisons. `merge_trees` writes it with few multiplications:

- trees that test the same bit at their root are merged into one branch, recursively: the sum over
  trees is taken *below* the multiplication, and one (relinearized) multiplication serves them all;
- a branch over constants is not a multiplication at all but a linear term ``coefficient * b``;
- branches and terms that both sides share are hoisted out.

Everything is an exact identity on integers.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from ....ensembles import TreeEnsemble

#: Coefficient of each comparison's bit; zeros are left out.
LinearForm = dict[int, int]
#: Key of the constant in the linear forms that include one.
CONSTANT = -1


@dataclass(eq=False)
class Sum:
    """``constant + sum(coefficient * bit) + sum(branches)``."""

    constant: int = 0
    linear: LinearForm = field(default_factory=dict)
    branches: list[Branch] = field(default_factory=list)

    @property
    def height(self) -> int:
        """Factors of the longest product of bits: 0 for a constant, 1 for a linear form."""
        return max((branch.height for branch in self.branches), default=int(bool(self.linear)))

    def add(self, other: Sum) -> None:
        """Add another sum, in place."""
        self.constant += other.constant
        add_linear(self.linear, other.linear)
        self.branches += other.branches


@dataclass(eq=False)
class Branch:
    """``low + bit(comparison) * (high - low)`` with at least one side that depends on bits.

    Attributes
    ----------
    height : int
        Comparisons on its longest path.
    spread : float
        Largest ``|high - low|``.
    """

    comparison: int
    low: Sum
    high: Sum
    key: int = -1

    def __post_init__(self) -> None:
        self.height = 1 + max(self.low.height, self.high.height)
        self.low_range, self.high_range = value_range(self.low), value_range(self.high)
        self.spread = float(max(self.high_range[1] - self.low_range[0], self.low_range[1] - self.high_range[0]))


def add_linear(into: LinearForm, other: LinearForm, factor: int = 1) -> None:
    """Add ``factor * other`` to ``into``, dropping the coefficients that vanish."""
    for comparison, coefficient in other.items():
        total = into.get(comparison, 0) + factor * coefficient
        if total:
            into[comparison] = total
        else:
            into.pop(comparison, None)


def value_range(total: Sum) -> tuple[float, float]:
    """Smallest and largest value of a sum."""
    low: float = total.constant + sum(min(coefficient, 0) for coefficient in total.linear.values())
    high: float = total.constant + sum(max(coefficient, 0) for coefficient in total.linear.values())
    for branch in total.branches:
        low += min(branch.low_range[0], branch.high_range[0])
        high += max(branch.low_range[1], branch.high_range[1])
    return low, high


class _Merger:
    """Merges the trees of one score column; equal branches get equal keys (hash-consing)."""

    def __init__(self, ensemble: TreeEnsemble, comparisons: np.ndarray, constants: dict[int, int], column: int):
        self.constants = constants
        self.left = ensemble.left.tolist()
        self.right = ensemble.right.tolist()
        self.comparisons = comparisons.tolist()
        self.values = ensemble.value[:, column].tolist()
        self.keys: dict[tuple, int] = {}

    def merge(self, nodes: list[int]) -> Sum:
        """The sum of the subtrees rooted at ``nodes``."""
        total = Sum()
        groups: dict[int, list[int]] = defaultdict(list)
        for node in nodes:
            if self.left[node] < 0:
                total.constant += self.values[node]
            else:
                groups[self.comparisons[node]].append(node)
        for comparison, group in groups.items():
            low = self.merge([self.left[node] for node in group])
            high = self.merge([self.right[node] for node in group])
            if comparison in self.constants:
                total.add(high if self.constants[comparison] else low)
            else:
                self._add_branch(total, comparison, low, high)
        return total

    def _add_branch(self, total: Sum, comparison: int, low: Sum, high: Sum) -> None:
        shared = {branch.key for branch in low.branches} & {branch.key for branch in high.branches}
        if shared:  # c + low + b (high - low) = (c + low) + b ((c + high) - (c + low))
            total.branches += [branch for branch in low.branches if branch.key in shared]
            low.branches = [branch for branch in low.branches if branch.key not in shared]
            high.branches = [branch for branch in high.branches if branch.key not in shared]
        if low.branches or high.branches or low.linear != high.linear:
            branch = Branch(comparison, low, high)
            branch.key = self.keys.setdefault(self._identity(branch), len(self.keys))
            total.branches.append(branch)
            return
        # Both sides agree up to a constant: a linear term.
        total.constant += low.constant
        add_linear(total.linear, low.linear)
        add_linear(total.linear, {comparison: high.constant - low.constant})

    @staticmethod
    def _identity(branch: Branch) -> tuple:
        def side(total: Sum) -> tuple:
            keys = tuple(sorted(child.key for child in total.branches))
            return total.constant, tuple(sorted(total.linear.items())), keys

        return branch.comparison, side(branch.low), side(branch.high)


def merge_trees(ensemble: TreeEnsemble, comparisons: np.ndarray, constants: dict[int, int]) -> list[Sum]:
    """One `Sum` a score column.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    comparisons : ndarray of shape (n_nodes,)
        Index of the comparison of each inner node.
    constants : dict of int to int
        Tests with the same result, 0 or 1, for every row.

    Returns
    -------
    sums : list of n_scores Sum
    """
    roots = ensemble.tree_offsets[:-1]
    sums = []
    for score in range(ensemble.n_scores):
        offset = score - ensemble.tree_columns
        total = Sum()
        for column in range(ensemble.width):
            trees = np.flatnonzero(offset == column)
            if len(trees):
                total.add(_Merger(ensemble, comparisons, constants, column).merge(roots[trees].tolist()))
        sums.append(total)
    return sums


def imaginary_bounds(sums: list[Sum], paired: np.ndarray) -> float:
    """Largest imaginary part of any intermediate value, in integer steps, if comparisons travel in pairs.

    A term ``a b`` of a paired bit brings the other bit of the pair with it, ``a`` times, into the imaginary
    part (see `packing`). A branch has the value of one of its sides there as well.

    Parameters
    ----------
    sums : list of Sum
    paired : ndarray of shape (n_comparisons,), bool
    """
    largest = 0.0

    def bound(total: Sum) -> float:
        nonlocal largest
        value = float(sum(abs(coefficient) for comparison, coefficient in total.linear.items() if paired[comparison]))
        for branch in total.branches:
            low, high = bound(branch.low), bound(branch.high)
            largest = max(largest, low + high)
            value += max(low, high)
        return value

    of_sums = [bound(total) for total in sums]
    return max([largest, *of_sums])
