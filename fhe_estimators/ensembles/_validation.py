"""Structural checks that make a `TreeEnsemble` safe to evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import UnsupportedModelError

if TYPE_CHECKING:
    from ._ensemble import TreeEnsemble


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UnsupportedModelError(f"Invalid tree ensemble: {message}")


def validate_ensemble(ensemble: TreeEnsemble) -> None:
    """Raise `UnsupportedModelError` unless every array is consistent with every other.

    A passing ensemble can be evaluated without bounds checks: children follow their parent inside
    the same tree (hence no cycles), every non-root node has exactly one parent, features are in
    range and all numbers that matter are finite.
    """
    _check_shapes(ensemble)
    _check_topology(ensemble)
    _check_numbers(ensemble)


def _check_shapes(e: TreeEnsemble) -> None:
    n_nodes, n_trees = len(e.feature), len(e.tree_columns)
    _require(e.n_features >= 1 and e.n_scores >= 1, "n_features and n_scores must be positive.")
    _require(n_trees >= 1, "it has no trees.")
    _require(e.tree_offsets.shape == (n_trees + 1,), "tree_offsets must have n_trees + 1 entries.")
    for name in ("threshold", "left", "right", "missing_right"):
        _require(getattr(e, name).shape == (n_nodes,), f"{name} must have one entry a node.")
    _require(e.value.ndim == 2 and len(e.value) == n_nodes, "value must have one row a node.")
    _require(e.cover is None or e.cover.shape == (n_nodes,), "cover must have one entry a node.")
    _require(e.base_score.shape == (e.n_scores,), "base_score must have n_scores entries.")
    _require(e.input_dtype in ("float32", "float64"), f"input_dtype={e.input_dtype!r} is unknown.")
    _require(
        e.tree_columns.min() >= 0 and e.tree_columns.max() + e.value.shape[1] <= e.n_scores,
        "tree_columns point outside the scores.",
    )


def _check_topology(e: TreeEnsemble) -> None:
    n_nodes = len(e.feature)
    offsets = e.tree_offsets
    _require(
        offsets[0] == 0 and offsets[-1] == n_nodes and bool(np.all(np.diff(offsets) > 0)),
        "tree_offsets must rise from 0 to n_nodes.",
    )
    leaf = e.feature == -1
    _require(bool(np.all((e.left == -1) == leaf) and np.all((e.right == -1) == leaf)), "a node has one child only.")
    inner = np.flatnonzero(~leaf)
    _require(bool(np.all((e.feature[inner] >= 0) & (e.feature[inner] < e.n_features))), "a feature is out of range.")
    children = np.concatenate([e.left[inner], e.right[inner]]).astype(np.int64)
    parents = np.concatenate([inner, inner])
    tree_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    in_range = bool(np.all((children > parents) & (children < n_nodes)))
    _require(in_range, "children must follow their parent.")
    _require(bool(np.all(tree_of[children] == tree_of[parents])), "a child belongs to another tree.")
    expected = np.setdiff1d(np.arange(n_nodes), offsets[:-1], assume_unique=True)
    _require(np.array_equal(np.sort(children), expected), "every node but the roots needs exactly one parent.")


def _check_numbers(e: TreeEnsemble) -> None:
    leaf = e.feature == -1
    _require(not np.isnan(e.threshold[~leaf]).any(), "a threshold is NaN.")
    _require(bool(np.isfinite(e.value[leaf]).all()), "a leaf value is not finite.")
    _require(bool(np.isfinite(e.base_score).all()), "base_score is not finite.")
    _require(e.cover is None or bool((np.isfinite(e.cover) & (e.cover >= 0)).all()), "cover must not be negative.")
    _require(e.score_scale.shape == (e.n_scores,), "score_scale must have n_scores entries.")
    _require(bool((np.isfinite(e.score_scale) & (e.score_scale > 0)).all()), "score_scale must be positive.")
