"""Which model's scores are the contributions of features to another's: found by their trees, not by their names."""

from __future__ import annotations

import hashlib

import numpy as np

from ...ensembles import TreeEnsemble

_STRUCTURE = ("tree_offsets", "feature", "threshold", "left", "right", "missing_right")
#: Roundings of a leaf, in units of its last place, that are still those of one float model.
_ROUNDINGS = 2.0


def trees_digest(ensemble: TreeEnsemble) -> str:
    """A digest of comparisons and branches, which a model and that of its contributions have in common."""
    digest = hashlib.sha256()
    for name in _STRUCTURE:
        array = np.ascontiguousarray(getattr(ensemble, name))
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def explains(contributions: TreeEnsemble, model: TreeEnsemble) -> bool:
    """Whether one ensemble gives the contributions to the scores of another, up to the rounding of the leaves.

    Equal trees are not enough: a model that was trained again may compare the same and add up to other scores. In
    every leaf the contributions must sum to its value less the mean of its tree, and the means must be in the base.

    Parameters
    ----------
    contributions, model : TreeEnsemble
        Quantized.
    """
    n_columns, rest = divmod(contributions.n_scores, model.n_scores)
    if rest or n_columns < 2 or contributions.width != model.width * n_columns:
        return False
    if not np.array_equal(contributions.tree_columns, model.tree_columns * n_columns):
        return False
    if any(not np.array_equal(getattr(contributions, name), getattr(model, name)) for name in _STRUCTURE):
        return False
    scales = contributions.score_scale.reshape(model.n_scores, n_columns)
    means, allowed = np.zeros(model.n_scores), np.zeros(model.n_scores)
    for tree, first in enumerate(model.tree_columns):
        scores = slice(first, first + model.width)
        nodes = np.arange(model.tree_offsets[tree], model.tree_offsets[tree + 1])
        leaves = nodes[model.left[nodes] < 0]
        parts = contributions.value[leaves].reshape(len(leaves), model.width, n_columns)
        without_mean = (parts / scales[scores]).sum(axis=2)
        of_trees = model.value[leaves] / model.score_scale[scores] - without_mean
        is_rounded = (parts != 0).any(axis=0)  # what is 0 in all leaves was not rounded
        tolerance = _ROUNDINGS * (1 / model.score_scale[scores] + (is_rounded / scales[scores]).sum(axis=1))
        if (np.ptp(of_trees, axis=0) > tolerance).any():
            return False
        means[scores] += of_trees[0]
        allowed[scores] += tolerance
    in_base = contributions.base_score.reshape(model.n_scores, n_columns).sum(axis=1) - model.base_score
    return bool((np.abs(in_base - means) <= allowed + 1e-9 * np.abs(in_base)).all())
