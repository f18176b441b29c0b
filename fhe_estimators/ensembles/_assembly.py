"""From the trees of a source library to one `TreeEnsemble`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..exceptions import UnsupportedModelError
from ._ensemble import LEAF, TreeEnsemble


@dataclass(frozen=True)
class SourceTree:
    """One tree as its library stores it; node 0 is the root, ``left[i] == LEAF`` marks leaves.

    Fields are arrays of shape (n_nodes,), ``value`` of shape (n_nodes, width). ``column`` is the first
    score column the tree adds to.
    """

    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_right: np.ndarray
    value: np.ndarray
    column: int = 0
    cover: np.ndarray | None = None


def assemble(trees: Sequence[SourceTree], **properties: Any) -> TreeEnsemble:
    """Concatenate trees; ``properties`` are the remaining fields of `TreeEnsemble`."""
    if not trees:
        raise UnsupportedModelError("The model has no trees: train it with n_estimators of at least 1.")
    ordered = [_by_level(tree) for tree in trees]
    sizes = [len(tree.feature) for tree in ordered]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)

    def joined(name: str, dtype: type, *, shift: bool = False) -> np.ndarray:
        arrays = [getattr(tree, name) for tree in ordered]
        if shift:
            arrays = [np.where(a == LEAF, LEAF, a + offset) for a, offset in zip(arrays, offsets, strict=False)]
        return np.concatenate(arrays).astype(dtype)

    return TreeEnsemble(
        tree_offsets=offsets,
        tree_columns=np.array([tree.column for tree in ordered], dtype=np.int32),
        feature=joined("feature", np.int32),
        threshold=joined("threshold", np.float64),
        left=joined("left", np.int32, shift=True),
        right=joined("right", np.int32, shift=True),
        missing_right=joined("missing_right", np.bool_),
        value=joined("value", np.float64),
        cover=None if any(tree.cover is None for tree in ordered) else joined("cover", np.float64),
        **properties,
    )


def _by_level(tree: SourceTree) -> SourceTree:
    """The tree with its nodes in breadth-first order; nodes that pruning cut off are dropped."""
    levels = [np.zeros(1, dtype=np.int64)]
    n_visited = 1
    while len(inner := levels[-1][tree.left[levels[-1]] != LEAF]):
        levels.append(np.column_stack([tree.left[inner], tree.right[inner]]).ravel())
        n_visited += len(levels[-1])
        if n_visited > len(tree.left):
            raise ValueError("A node of the tree has more than one parent.")
    order = np.concatenate(levels)
    position = np.full(len(tree.left), LEAF, dtype=np.int64)
    position[order] = np.arange(len(order))
    leaf = tree.left[order] == LEAF
    return replace(
        tree,
        feature=np.where(leaf, LEAF, tree.feature[order]),
        threshold=np.where(leaf, 0.0, tree.threshold[order]),
        left=np.where(leaf, LEAF, position[tree.left[order]]),
        right=np.where(leaf, LEAF, position[tree.right[order]]),
        missing_right=np.where(leaf, False, tree.missing_right[order]),
        value=np.where(leaf[:, None], tree.value[order], 0.0),
        cover=None if tree.cover is None else tree.cover[order],
    )
