"""Noise bound: how far a decrypted leaf sum can be from its integer.

Notation: ring degree ``N``, uniform ternary secret ``s``, fresh noise of standard deviation ``sigma`` a coefficient.
Errors are those of slots, in units of one integer step. A polynomial with independent coefficients of standard
deviation ``d`` has slots of standard deviation ``d * sqrt(N)``. Following A. Costache, B. Curtis, E. Hales, S. Murphy,
T. Ogilvie and R. Player, "On the precision loss in approximate homomorphic encryption", SAC 2023, errors are
treated as independent Gaussians (the test suite holds the bound against measured noise):

- a fresh bit: ``sigma * sqrt(N)``;
- rescaling a ciphertext of size 2: ``sqrt(N / 12) * sqrt(1 + 2N/3)``, since ``|s|`` is about ``sqrt(2N/3)`` in a slot;
- rescaling one of size 3: ``sqrt(N / 12) * |s|**2``, with ``|s|**2`` below ``2N/3 * (ln(N/2) + 4)`` in every slot: its
  values there are exponentially distributed;
- key switching by digits modulo the primes ``q_i`` with special prime ``p``, besides the rounding of a rescaling:
  ``sigma * N * sqrt(sum(q_i**2) / 12) / p``. SEAL's digits lie in ``[0, q_i)``, so all coefficients share the mean
  ``q_i / 2``, and ``1 + X + ... + X**(N-1)``, which is ``2N/pi`` where ``X = exp(i pi / N)``, makes it
  ``sigma * N**1.5 / pi * sqrt(sum(q_i**2)) / p`` in the worst slot;
- unpacking ``2**k`` bits from a ciphertext doubles all variances ``k`` times, and the mean over the ``2**k`` copies
  of a row divides them again; a worst slot is one of those copies.

An error ``e_j`` in the input bit of comparison ``j`` is the same wherever the bit is used. A leaf sum is multilinear
in the bits, hence moves by at most ``e_j * g_j``, with ``g_j`` the sum over trees of the largest
``|high - low|`` among the tree's nodes that test ``j``.

Errors made on the way are independent. One in an indicator moves the score by at most the spread of the values
it chooses between; one in a value moves it by at most itself, since indicators are 0 or 1. Hence indicators are
relinearized before they are rescaled, which divides the noise of the key switching away, and values after, which is
cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ensembles import TreeEnsemble
from .comparisons import ComparisonTable
from .levels import Schedule
from .merged_trees import CONSTANT
from .products import Affine, products_of

#: Standard deviation of fresh noise in SEAL (a centred binomial distribution of variance 10.5).
FRESH_NOISE_STD = 3.24
#: The predicted error must stay below this part of an integer step ...
MAX_ERROR = 1 / 8
#: ... at this many standard deviations.
ERROR_STDS = 8.0


@dataclass(frozen=True)
class RingNoise:
    """Standard deviations of errors in slots, absolute (not divided by a scale).

    Parameters
    ----------
    poly_modulus_degree : int
    prime_bits : tuple of int
        Data primes from ``q_0`` up, then the special prime.
    """

    poly_modulus_degree: int
    prime_bits: tuple[int, ...]

    @property
    def fresh(self) -> float:
        return FRESH_NOISE_STD * self.poly_modulus_degree**0.5

    @property
    def rounding(self) -> float:
        """Rescaling of a ciphertext of size 2."""
        n = self.poly_modulus_degree
        return ((1 + 2 * n / 3) / 12 * n) ** 0.5

    @property
    def rounding_of_products(self) -> float:
        """Rescaling of a ciphertext of size 3, in the worst slot."""
        n = self.poly_modulus_degree
        return (n / 12) ** 0.5 * 2 * n / 3 * (np.log(n / 2) + 4)

    @property
    def key_switching(self) -> float:
        """In an average slot."""
        by_digits = FRESH_NOISE_STD * self.poly_modulus_degree * self._relative_digits / 12**0.5
        return float(np.hypot(by_digits, self.rounding))

    @property
    def worst_key_switching(self) -> float:
        """In the worst slot."""
        by_digits = FRESH_NOISE_STD * self.poly_modulus_degree**1.5 / np.pi * self._relative_digits
        return float(np.hypot(by_digits, self.rounding))

    @property
    def _relative_digits(self) -> float:
        return sum(4.0**bits for bits in self.prime_bits[:-1]) ** 0.5 / 2.0 ** self.prime_bits[-1]

    def unpacked(self, expansion_log2: int) -> float:
        """A bit after unpacking ``2 ** expansion_log2`` of them from one ciphertext, averaged over its copies."""
        if not expansion_log2:
            return self.fresh
        worst = self.worst_key_switching**2 * expansion_log2 / 4**expansion_log2
        return float(np.sqrt(self.fresh**2 + self.key_switching**2 + worst))


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


@dataclass(frozen=True, eq=False)
class CircuitNoise:
    """What of a circuit decides the error of its leaf sums.

    Attributes
    ----------
    of_inputs : ndarray of shape (n_inputs, n_scores)
        Effect of an error in each encrypted input, in integer steps.
    rescaled : ndarray of shape (n_scores,)
        Sum of the squared effects of an error in each indicator and each bit that is rescaled, in integer steps.
    n_values : int
        Values (of leaves) that are rescaled and relinearized: their errors reach a sum as they are.
    """

    of_inputs: np.ndarray
    rescaled: np.ndarray
    n_values: int

    def scaled(self, factor: float) -> CircuitNoise:
        """The same with leaf values multiplied by ``factor``."""
        return CircuitNoise(self.of_inputs * factor, self.rescaled * factor**2, self.n_values)

    def error_std(self, ring: RingNoise, bit_scale: float, expansion_log2: int) -> float:
        """Predicted standard deviation of the error of a leaf sum, in integer steps."""
        inputs = ring.unpacked(expansion_log2) ** 2 * (self.of_inputs**2).sum(axis=0)
        indicators = ring.rounding**2 * self.rescaled
        values = (ring.rounding_of_products**2 + ring.worst_key_switching**2) * self.n_values
        return float(np.sqrt((inputs + indicators + values).max(initial=0.0))) / bit_scale


def circuit_noise(ensemble: TreeEnsemble, table: ComparisonTable, plan: Schedule) -> CircuitNoise:
    """Follow every error through the circuit of a quantized ensemble."""
    of_comparisons = bit_sensitivities(ensemble, table.of_node, len(table))
    composed = [comparison for comparison, recipe in enumerate(table.recipes) if recipe.above]
    rescaled = (of_comparisons[composed] ** 2).sum(axis=0)
    n_values = 0
    for score, output in enumerate(plan.outputs):
        # Every result is brought down from every level, relinearized and conjugated.
        values = plan.n_levels + 2
        for product in products_of([output]):
            for factor, effect in product.operands():
                if not factor.products:
                    rescaled[score] += effect**2 * _rescaled_terms(factor, plan, product.level)
                elif factor is product.value and not product.is_indicator:
                    values += 1
                else:
                    rescaled[score] += 2 * effect**2  # once for the product, once if a level is skipped
        n_values = max(n_values, values)
    return CircuitNoise(table.spread_to_inputs(of_comparisons), rescaled, n_values)


def _rescaled_terms(factor: Affine, plan: Schedule, level: int) -> float:
    """Sum of the squared coefficients of a linear form's bits that are rescaled for it."""
    comparisons = (comparison for comparison in factor.linear if comparison != CONSTANT)
    return float(
        sum(factor.linear[comparison] ** 2 for comparison in comparisons if plan.is_rescaled(comparison, level))
    )
