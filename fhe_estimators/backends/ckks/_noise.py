"""Noise bound: how far a decrypted leaf sum can be from its integer.

Notation: ring degree ``N``, uniform ternary secret, fresh noise of standard deviation
``sigma = 3.2`` a coefficient; errors are in slots, relative to the scale, in units of one integer step.
A polynomial with independent coefficients of standard deviation ``s`` has slots of standard deviation
``s * sqrt(N)``. Following A. Costache, B. Curtis, E. Hales, S. Murphy, T. Ogilvie and R. Player, "On the
precision loss in approximate homomorphic encryption", SAC 2023, errors are treated as
independent Gaussians (the test suite holds the bound against measured noise):

- fresh bit: ``sigma * sqrt(N)``;
- rescaling, and each key switching's final division: ``sqrt((1 + 2N/3) / 12) * sqrt(N)``;
- key switching by digits modulo the primes ``q_i`` with special prime ``p``:
  ``sigma * N * sqrt(sum(q_i ** 2) / 12) / p``;
- unpacking ``2 ** k`` bits from a ciphertext adds and subtracts ``k`` times: every error's variance
  doubles each time.

The bits' errors dominate. A leaf sum is multilinear in the bits, and on any input only one path of
each tree is alive, so an error ``e_j`` in the bit of test ``j`` moves the sum by at most ``e_j * g_j``,
with ``g_j`` the sum over trees of the largest ``|high - low|`` among the tree's nodes that test ``j``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ensembles import TreeEnsemble

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
        n = self.poly_modulus_degree
        return ((1 + 2 * n / 3) / 12 * n) ** 0.5

    @property
    def key_switching(self) -> float:
        digits = sum(4.0**bits for bits in self.prime_bits[:-1])
        by_digits = FRESH_NOISE_STD * self.poly_modulus_degree * (digits / 12) ** 0.5 / 2.0 ** self.prime_bits[-1]
        return float(np.hypot(by_digits, self.rounding))

    def unpacked(self, expansion_log2: int) -> float:
        """A bit after unpacking ``2 ** expansion_log2`` of them from one ciphertext."""
        variance = self.fresh**2
        for _ in range(expansion_log2):
            variance = 2 * variance + self.key_switching**2
        return variance**0.5


def bit_sensitivities(ensemble: TreeEnsemble, tests: np.ndarray, n_tests: int) -> np.ndarray:
    """``g_j`` of the module's docstring, shape (n_tests, n_scores), in integer steps."""
    low, high = subtree_ranges(ensemble)
    inner = np.flatnonzero(~ensemble.is_leaf)
    left, right = ensemble.left[inner], ensemble.right[inner]
    spread = np.maximum(high[right] - low[left], high[left] - low[right])
    tree = np.searchsorted(ensemble.tree_offsets, inner, side="right") - 1
    order = np.lexsort((tests[inner], tree))
    groups = np.stack([tree[order], tests[inner][order]], axis=1)
    starts = np.flatnonzero(np.any(np.diff(groups, axis=0, prepend=-1) != 0, axis=1))
    result = np.zeros((n_tests, ensemble.n_scores))
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
    """What of an ensemble decides the error of its leaf sums.

    Attributes
    ----------
    of_tests : ndarray of shape (n_tests, n_scores)
        Effect of an error in each test's bit: `bit_sensitivities`.
    of_inputs : ndarray of shape (n_inputs, n_scores)
        Effect of an error in each encrypted input.
    n_divisions : int
        Rescalings and key switchings whose error reaches a sum: at most two a tree and tree level.
    """

    of_tests: np.ndarray
    of_inputs: np.ndarray
    n_divisions: int

    def scaled(self, factor: float) -> CircuitNoise:
        """The same with leaf values multiplied by ``factor``."""
        return CircuitNoise(self.of_tests * factor, self.of_inputs * factor, self.n_divisions)

    def error_std(self, ring: RingNoise, bit_scale: float, expansion_log2: int) -> float:
        """Predicted standard deviation of the error of a leaf sum, in integer steps.

        A test's bit is rescaled once when it is composed of inputs or brought to a lower level.
        """
        division = float(np.hypot(ring.rounding, ring.key_switching))
        from_inputs = ring.unpacked(expansion_log2) * _largest_norm(self.of_inputs)
        from_tests = ring.rounding * _largest_norm(self.of_tests)
        from_divisions = division * self.n_divisions**0.5
        return float(np.sqrt(from_inputs**2 + from_tests**2 + from_divisions**2)) / bit_scale


def _largest_norm(columns: np.ndarray) -> float:
    return float(np.sqrt((columns**2).sum(axis=0)).max(initial=0.0))
