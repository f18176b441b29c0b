"""Noise bound: how far a decrypted leaf sum can be from its integer.

Errors of single operations are those of `ring_noise`, here in units of one integer step. Some are independent of one
another and add as squares. Some are the same, up to the sign, wherever a key is used: these add as they are.

Bits
----

A leaf sum is multilinear in the bits. An error ``e_j`` in the bit of comparison ``j`` is the same wherever the bit is
used, and moves the sum by ``e_j`` times ``v_high - v_low``, added up over the nodes that test ``j`` and that the row
reaches. Hence

- the common error ``c``: at most ``c`` times the sum of ``|v_high - v_low|`` over all nodes that a row reaches (an L1
  norm). Its largest value is bounded tree by tree, by the path on which it is largest: `path_sensitivity`;
- independent errors: with ``a_tj`` the part of tree ``t`` in the effect of ``e_j``, the variance is ``e**2`` times the
  sum over ``j`` of ``(sum over t of a_tj)**2``. One of the two factors is at most ``g_j``, the sum over trees of the
  largest ``|v_high - v_low|`` among the tree's nodes that test ``j``. The rest is a sum over the nodes that a row
  reaches, weighted by ``g_j``: the same bound tree by tree.

Indicators and values
---------------------

Errors made on the way are weighted by what they can do. One in an indicator moves the score by at most the spread of
the values it chooses between. One in a value moves it by at most itself, and only if the row gets there: for each row
a merged tree has at most one such value a node of the row's path (`values_of_a_row`). Indicators are relinearized
before they are rescaled, which divides the noise of the key switching away, and values after, which is cheaper. So
values carry the common error of the relinearization key, one like the other, which adds as it is as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ensembles import TreeEnsemble
from .comparisons import ComparisonTable
from .levels import Schedule
from .merged_trees import CONSTANT, Sum
from .products import Affine, products_of
from .ring_noise import RingNoise

#: The predicted error must stay below this part of an integer step ...
MAX_ERROR = 1 / 8
#: ... at this many standard deviations.
ERROR_STDS = 8.0


def bit_sensitivities(ensemble: TreeEnsemble, comparisons: np.ndarray, n_comparisons: int) -> np.ndarray:
    """``g_j`` of the module's docstring, shape (n_comparisons, n_scores), in integer steps."""
    low, high = subtree_ranges(ensemble)
    inner = np.flatnonzero(~ensemble.is_leaf)
    left, right = ensemble.left[inner], ensemble.right[inner]
    spread = np.maximum(high[right] - low[left], high[left] - low[right])
    tree = np.searchsorted(ensemble.tree_offsets, inner, side="right") - 1
    order = np.lexsort((comparisons[inner], tree))
    groups = np.stack([tree[order], comparisons[inner][order]], axis=1)
    starts = np.flatnonzero(np.any(np.diff(groups, axis=0, prepend=-1) != 0, axis=1))
    result = np.zeros((n_comparisons, ensemble.n_scores))
    if len(inner):
        largest = np.maximum.reduceat(spread[order], starts, axis=0)
        for column in range(ensemble.width):
            score = ensemble.tree_columns[groups[starts, 0]] + column
            np.add.at(result, (groups[starts, 1], score), largest[:, column])
    return result


def subtree_ranges(ensemble: TreeEnsemble) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest leaf value below each node, two arrays of shape (n_nodes, width)."""
    low, high = ensemble.value.astype(np.float64), ensemble.value.astype(np.float64)
    heights = ensemble.node_heights()
    for height in range(1, int(heights.max(initial=0)) + 1):
        nodes = np.flatnonzero(heights == height)
        children = ensemble.left[nodes], ensemble.right[nodes]
        low[nodes] = np.minimum(low[children[0]], low[children[1]])
        high[nodes] = np.maximum(high[children[0]], high[children[1]])
    return low, high


def path_sensitivity(ensemble: TreeEnsemble, of_node: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Largest weighted sum of ``|v_high - v_low|`` over the nodes that a row reaches, shape (n_scores,).

    Parameters
    ----------
    ensemble : TreeEnsemble
    of_node : ndarray of shape (n_nodes,)
        Index of each node's comparison.
    weights : ndarray of shape (n_comparisons, n_scores)
        What the nodes are multiplied by.
    """
    columns = np.repeat(ensemble.tree_columns, np.diff(ensemble.tree_offsets))[:, None] + np.arange(ensemble.width)
    low, high = subtree_ranges(ensemble)
    sums, heights = np.zeros_like(low), ensemble.node_heights()
    for height in range(1, int(heights.max(initial=0)) + 1):
        nodes = np.flatnonzero(heights == height)
        left, right = ensemble.left[nodes], ensemble.right[nodes]
        spread = np.maximum(high[right] - low[left], high[left] - low[right])
        weight = weights[of_node[nodes][:, None], columns[nodes]]
        sums[nodes] = weight * spread + np.maximum(sums[left], sums[right])
    return ensemble.sum_by_column(sums[ensemble.tree_offsets[:-1]])


def values_of_a_row(total: Sum) -> int:
    """Values made of products that reach the score of one row, at most: see the module's docstring."""
    count = 0
    for branch in total.branches:
        deeper = bool(branch.low.branches or branch.high.branches)
        count += deeper + max(values_of_a_row(branch.low), values_of_a_row(branch.high))
    return count


@dataclass(frozen=True, eq=False)
class CircuitNoise:
    """What of a circuit decides the error of its leaf sums.

    Attributes
    ----------
    of_inputs : ndarray of shape (n_scores,)
        Sum of the squared effects of independent errors in the encrypted inputs, in integer steps.
    of_all_inputs : ndarray of shape (n_scores,)
        Effect of an error that all inputs share up to the sign, in integer steps.
    rescaled : ndarray of shape (n_scores,)
        Sum of the squared effects of an error in each indicator and each bit that is rescaled, in integer steps.
    n_values : int
        Values (of leaves) that are rescaled and relinearized and reach a row's sum: their errors do as they are.
    """

    of_inputs: np.ndarray
    of_all_inputs: np.ndarray
    rescaled: np.ndarray
    n_values: int

    def scaled(self, factor: float) -> CircuitNoise:
        """The same with leaf values multiplied by ``factor``."""
        return CircuitNoise(
            self.of_inputs * factor**2, self.of_all_inputs * factor, self.rescaled * factor**2, self.n_values
        )

    def error_std(self, ring: RingNoise, bit_scale: float, expansion_log2: int) -> float:
        """Predicted standard deviation of the error of a leaf sum, in integer steps, in any packing up to the given."""
        return max(self._error_std(ring, expansion) for expansion in range(expansion_log2 + 1)) / bit_scale

    def _error_std(self, ring: RingNoise, expansion_log2: int) -> float:
        inputs = ring.bit(expansion_log2) ** 2 * self.of_inputs
        inputs += (ring.common_bit(expansion_log2).max() * self.of_all_inputs) ** 2
        indicators = ring.rounding**2 * self.rescaled
        values = (ring.rounding_of_products**2 + ring.key_switching**2) * self.n_values
        # The mean over the copies of a row divides what `common_key_switching` sums.
        values += (ring.common_key_switching(expansion_log2).max() / 2.0**expansion_log2 * self.n_values) ** 2
        return float(np.sqrt((inputs + indicators + values).max(initial=0.0) / 2))  # of the real part


def circuit_noise(ensemble: TreeEnsemble, table: ComparisonTable, plan: Schedule) -> CircuitNoise:
    """Follow every error through the circuit of a quantized ensemble."""
    of_comparisons = bit_sensitivities(ensemble, table.of_node, len(table))
    composed = np.array([bool(recipe.above) for recipe in table.recipes], dtype=bool)
    rescaled = path_sensitivity(ensemble, table.of_node, of_comparisons * composed[:, None])
    rescalings_of_a_value = 1
    for score, output in enumerate(plan.outputs):
        for product in products_of([output]):
            for factor, effect in product.operands():
                if not factor.products:
                    rescaled[score] += effect**2 * _rescaled_terms(factor, plan, product.level)
                elif factor is product.value and not product.is_indicator:
                    rescalings_of_a_value = max(rescalings_of_a_value, _rescalings(factor, product.level))
                else:
                    rescaled[score] += effect**2 * _rescalings(factor, product.level)
    # Every result is brought down from every level, relinearized and conjugated.
    n_values = max(map(values_of_a_row, plan.sums)) * rescalings_of_a_value + plan.n_levels + 2
    squared, alike = (
        table.gathered_from_inputs(of_inputs)
        for of_inputs in (table.spread_to_inputs(of_comparisons), np.ones((len(table.inputs), ensemble.n_scores)))
    )
    return CircuitNoise(
        path_sensitivity(ensemble, table.of_node, squared),
        path_sensitivity(ensemble, table.of_node, alike),
        rescaled,
        n_values,
    )


def _rescalings(factor: Affine, level: int) -> int:
    """Rescalings of a factor of a product at a level: of the sum, and before of the parts that skip a level."""
    return 1 + len({product.level for product in factor.products} - {level + 1})


def _rescaled_terms(factor: Affine, plan: Schedule, level: int) -> float:
    """Sum of the squared coefficients of a linear form's bits that are rescaled for it."""
    comparisons = (comparison for comparison in factor.linear if comparison != CONSTANT)
    return float(
        sum(factor.linear[comparison] ** 2 for comparison in comparisons if plan.is_rescaled(comparison, level))
    )
