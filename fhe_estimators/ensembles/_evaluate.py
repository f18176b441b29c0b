"""Reference evaluation of a `TreeEnsemble` in the clear (numpy)."""

from __future__ import annotations

import numpy as np

from ._ensemble import MISSING, TreeEnsemble

#: Rows walked at once: bounds the memory of the (rows, trees) work arrays.
_ROWS_PER_CHUNK = 4096


def decision_leaves(ensemble: TreeEnsemble, X: np.ndarray) -> np.ndarray:
    """Leaf that each row reaches in each tree.

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats, or quantized.
    X : ndarray of shape (n_samples, n_features)
        Float rows, or integer codes if the ensemble is quantized.

    Returns
    -------
    leaves : ndarray of shape (n_samples, n_trees), int64
        Numbers of nodes.
    """
    X = _as_input(ensemble, X)
    node = np.broadcast_to(ensemble.tree_offsets[:-1], (len(X), ensemble.n_trees)).copy()
    rows, trees = np.nonzero(ensemble.feature[node] >= 0)
    while len(rows):
        current = node[rows, trees]
        right = _goes_right(ensemble, current, X[rows, ensemble.feature[current]])
        following = np.where(right, ensemble.right[current], ensemble.left[current])
        node[rows, trees] = following
        inner = ensemble.feature[following] >= 0
        rows, trees = rows[inner], trees[inner]
    return node


def sum_leaves(ensemble: TreeEnsemble, X: np.ndarray) -> np.ndarray:
    """Sum of the reached leaf values.

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats, or quantized.
    X : ndarray of shape (n_samples, n_features)
        Float rows, or integer codes if the ensemble is quantized.

    Returns
    -------
    sums : ndarray of shape (n_samples, n_scores)
        Integers, exactly, when the ensemble is quantized: this is what every backend must return.
    """
    total = np.zeros((len(X), ensemble.n_scores), dtype=ensemble.value.dtype)
    for start in range(0, len(X), _ROWS_PER_CHUNK):
        chunk = slice(start, start + _ROWS_PER_CHUNK)
        values = ensemble.value[decision_leaves(ensemble, X[chunk])]
        for column in np.unique(ensemble.tree_columns):
            of_column = ensemble.tree_columns == column
            total[chunk, column : column + ensemble.width] += values[:, of_column].sum(axis=1)
    return total


def scores_from_sums(ensemble: TreeEnsemble, sums: np.ndarray) -> np.ndarray:
    """Real scores from sums of leaves.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Gives base score and scale.
    sums : ndarray of shape (n_samples, n_scores)
        The sums that `sum_leaves` returned, or that were decrypted.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_scores), float64
        The real scores, which the ensemble's link takes.
    """
    return ensemble.base_score + sums / ensemble.score_scale


def evaluate(ensemble: TreeEnsemble, X: np.ndarray) -> np.ndarray:
    """Real scores of rows, or of their codes.

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats, or quantized.
    X : ndarray of shape (n_samples, n_features)
        Float rows, or integer codes if the ensemble is quantized.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_scores), float64
        The real scores, which the ensemble's link takes.
    """
    return scores_from_sums(ensemble, sum_leaves(ensemble, X))


def _as_input(ensemble: TreeEnsemble, X: np.ndarray) -> np.ndarray:
    X = np.asarray(X) if ensemble.encoding is None else ensemble.encoding.transform(X)
    if X.ndim != 2 or X.shape[1] != ensemble.n_features:
        raise ValueError(f"X must have shape (n_samples, {ensemble.n_features}), got {X.shape}.")
    if ensemble.is_quantized:
        return X
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, as in the source
        return X.astype(ensemble.input_dtype, copy=False)


def _goes_right(ensemble: TreeEnsemble, node: np.ndarray, v: np.ndarray) -> np.ndarray:
    threshold = ensemble.threshold[node]
    right = v >= threshold if ensemble.strict else v > threshold
    missing = v == MISSING if v.dtype.kind == "i" else np.isnan(v)
    return np.where(missing, ensemble.missing_right[node], right)
