"""Leaf values to integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ensembles import TreeEnsemble

#: Guaranteed error of a score, as a fraction of the score range, that is aimed at ...
TARGET_SCORE_ERROR = 1e-5
#: ... and the one that is accepted when precision is scarce.
WORST_SCORE_ERROR = 1e-4

#: The midranges of a column's trees are moved into the base score where that makes its sums smaller than this, as a
#: fraction of what they are. Probabilities, whose midranges gain nothing, stay as they are, and so do their ties.
_WORTHWHILE = 0.45
#: Keeps the scale a normal float64.
_LARGEST_EXPONENT = 1020


def score_bits_for(ensemble: TreeEnsemble, score_error: float) -> int:
    """Bits of a sum of leaves for which rounding costs little.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    score_error : float
        What the rounding of all leaves may cost at most, as a fraction of the range of a score; of a link that takes
        exponentials, as a fraction of the range of its values.

    Returns
    -------
    score_bits : int
        The number of bits that `quantize_leaves` needs.
    """
    allowed = score_error * _ranges(ensemble)
    magnitudes = _magnitudes(ensemble, _midranges(ensemble))
    varying = allowed > 0
    if not varying.any():
        return 1
    n_trees = ensemble.sum_by_column(np.ones((ensemble.n_trees, ensemble.width)))
    bits = np.ceil(np.log2(n_trees[varying] / 2) - np.log2(allowed[varying]))
    return max(1, int((bits + np.ceil(np.log2(magnitudes[varying])) + 1).max()))


def quantize_leaves(ensemble: TreeEnsemble, score_bits: int) -> TreeEnsemble:
    """Round leaf values to multiples of a power of two, so that leaf sums need ``score_bits`` bits.

    A power of two keeps probabilities and votes of pure leaves exact, and so their ties. Each output of a regressor
    has a scale of its own, since outputs may be of any units; the classes of a classifier, which are compared with one
    another, share one. Where trees' values are far from zero beside their range, the midrange of each tree is moved
    into the base score, so that precision goes with the range and not with the magnitude.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    score_bits : int
        Every partial sum of leaves is below ``2 ** score_bits`` in magnitude.

    Returns
    -------
    quantized : TreeEnsemble
        The ensemble with ``value`` of type int64, ``score_scale`` and ``base_score`` set, and without ``cover``.
    """
    midranges = _midranges(ensemble)
    magnitudes = _magnitudes(ensemble, midranges)
    exponents = np.zeros(ensemble.n_scores)
    positive = magnitudes > 0
    exponents[positive] = score_bits - 1 - np.ceil(np.log2(magnitudes[positive]))
    scale = 2.0 ** np.clip(exponents, -_LARGEST_EXPONENT, _LARGEST_EXPONENT)
    rounded = _on_grid(ensemble, midranges, scale)
    values = np.where(ensemble.is_leaf[:, None], ensemble.value - _of_nodes(ensemble, rounded), 0.0)
    return replace(
        ensemble,
        value=np.rint(values * _of_nodes(ensemble, _of_trees(ensemble, scale))).astype(np.int64),
        base_score=ensemble.base_score + ensemble.sum_by_column(rounded),
        score_scale=scale,
        cover=None,
    )


def score_error_bound(ensemble: TreeEnsemble, quantized: TreeEnsemble) -> np.ndarray:
    """Largest difference between a float and a quantized score: the rounding of leaves.

    The sum over trees of the largest rounding error of any leaf of the tree, and the rounding of the base score.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    quantized : TreeEnsemble
        The same trees, from `quantize_leaves`.

    Returns
    -------
    bound : ndarray of shape (n_scores,)
        In units of the scores.
    """
    moved = _on_grid(ensemble, _midranges(ensemble), quantized.score_scale)
    exact = ensemble.value - _of_nodes(ensemble, moved)
    rounding = np.abs(quantized.value / _of_nodes(quantized, _of_trees(quantized, quantized.score_scale)) - exact)
    rounding[~ensemble.is_leaf] = 0.0
    of_trees = np.maximum.reduceat(rounding, ensemble.tree_offsets[:-1])
    return ensemble.sum_by_column(of_trees) + _addition_error(ensemble.base_score, ensemble.sum_by_column(moved))


def relative_score_error(ensemble: TreeEnsemble, quantized: TreeEnsemble) -> float:
    """`score_error_bound` as a fraction of the range of scores, the largest over columns.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    quantized : TreeEnsemble
        The same trees, from `quantize_leaves`.

    Returns
    -------
    error : float
        For a link that takes exponentials, a fraction of the range of its values; 0 if no score varies.
    """
    ranges, bounds = _ranges(ensemble), score_error_bound(ensemble, quantized)
    varying = ranges > 0
    return float((bounds[varying] / ranges[varying]).max(initial=0.0))


def _ranges(ensemble: TreeEnsemble) -> np.ndarray:
    """What errors of the scores are relative to, shape (n_scores,)."""
    low, high = ensemble.score_bounds()
    ranges = ensemble.link.relevant_ranges(high - low)
    return np.full_like(ranges, ranges.max()) if ensemble.link.is_classifier else ranges


def _magnitudes(ensemble: TreeEnsemble, midranges: np.ndarray) -> np.ndarray:
    """Largest absolute sum of leaves of each column once midranges are subtracted; of all, for a classifier."""
    moved = ensemble.sum_by_column(midranges)
    low, high = ensemble.score_bounds()
    largest = np.maximum(np.abs(low - moved), np.abs(high - moved))
    return np.full_like(largest, largest.max()) if ensemble.link.is_classifier else largest


def _midranges(ensemble: TreeEnsemble) -> np.ndarray:
    """Midrange of each tree's leaves, shape (n_trees, width); 0 in the columns where moving it is not worthwhile."""
    low, high = ensemble.tree_bounds()
    midranges = low / 2 + high / 2
    before = np.maximum(*np.abs(ensemble.score_bounds()))
    after = ensemble.sum_by_column(high / 2 - low / 2)
    return np.where(_of_trees(ensemble, after < _WORTHWHILE * before), midranges, 0.0)


def _on_grid(ensemble: TreeEnsemble, midranges: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Midranges as multiples of an integer step, so that rounded leaves stay multiples of one.

    Those of a column that does not vary stay as they are: nothing is left of its leaves.
    """
    of_trees = _of_trees(ensemble, scale)
    varies = _of_trees(ensemble, _magnitudes(ensemble, midranges) > 0)
    return np.where(varies, np.rint(midranges * of_trees) / of_trees, midranges)


def _addition_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What a floating-point addition rounds away (D. Knuth, "The Art of Computer Programming", volume 2, 4.2.2)."""
    total = a + b
    of_b = total - a
    return np.abs((a - (total - of_b)) + (b - of_b))


def _of_trees(ensemble: TreeEnsemble, of_columns: np.ndarray) -> np.ndarray:
    """What belongs to score columns, by tree: shape (n_trees, width)."""
    return of_columns[ensemble.tree_columns[:, None] + np.arange(ensemble.width)]


def _of_nodes(ensemble: TreeEnsemble, of_trees: np.ndarray) -> np.ndarray:
    """What belongs to trees, by node: shape (n_nodes, width)."""
    return np.repeat(of_trees, np.diff(ensemble.tree_offsets), axis=0)
