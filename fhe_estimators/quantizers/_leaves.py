"""Leaf values to integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..ensembles import TreeEnsemble

#: Guaranteed error of a score, as a fraction of the score range, that is aimed at ...
TARGET_SCORE_ERROR = 1e-5
#: ... and the one that is accepted when precision is scarce.
WORST_SCORE_ERROR = 1e-4


def score_bits_for(ensemble: TreeEnsemble, score_error: float) -> int:
    """Bits of a sum of leaves for which rounding costs little.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    score_error : float
        What the rounding of all leaves may cost at most, as a fraction of the range of a score.

    Returns
    -------
    score_bits : int
        For `quantize_leaves`.
    """
    trees_per_score = np.bincount(ensemble.tree_columns).max()
    return int(np.ceil(np.log2(trees_per_score / 2 / score_error)))


def quantize_leaves(ensemble: TreeEnsemble, score_bits: int) -> TreeEnsemble:
    """Round leaf values to multiples of a power of two, so that leaf sums need ``score_bits`` bits.

    The scale is a power of two: probabilities and votes of pure leaves stay exact, and so do ties.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Float leaf values.
    score_bits : int
        Every partial sum of leaves is below ``2 ** score_bits`` in magnitude.

    Returns
    -------
    TreeEnsemble
        With ``value`` of type int64 and ``score_scale`` set.
    """
    largest = max(float(np.abs(bound).max()) for bound in ensemble.score_bounds())
    exponent = score_bits - 1 - int(np.ceil(np.log2(largest))) if largest > 0 else 0
    exponent = min(max(exponent, -1020), 1020)  # keep the scale a normal float64
    scale = 2.0**exponent
    values = np.where(ensemble.is_leaf[:, None], ensemble.value, 0.0)
    return replace(ensemble, value=np.rint(values * scale).astype(np.int64), score_scale=scale)


def score_error_bound(ensemble: TreeEnsemble, quantized: TreeEnsemble) -> np.ndarray:
    """Largest difference between a float and a quantized score: the rounding of leaves.

    The sum over trees of the largest rounding error of any leaf of the tree.

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
    rounding = np.abs(quantized.value / quantized.score_scale - ensemble.value).max(axis=1)
    rounding[ensemble.is_leaf == 0] = 0.0
    per_tree = np.maximum.reduceat(rounding, ensemble.tree_offsets[:-1])
    bound = np.zeros(ensemble.n_scores)
    for tree, column in enumerate(ensemble.tree_columns):
        bound[column : column + ensemble.width] += per_tree[tree]
    return bound
