"""Random tree ensembles, built without any training library, and rows that are easily compared wrongly."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import LEAF, TreeEnsemble
from ...ensembles.links import IdentityLink


def random_ensemble(
    rng: np.random.Generator,
    *,
    n_trees: int = 5,
    depth: int = 3,
    n_features: int = 4,
    n_scores: int = 1,
    width: int = 1,
    leaf_probability: float = 0.2,
    allow_nan: bool = True,
    n_thresholds: int = 8,
    integer_thresholds: bool = False,
) -> TreeEnsemble:
    """Random, unbalanced trees with float leaves; thresholds repeat, so that trees share comparisons.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    n_trees, depth, n_features : int
        Numbers of trees and features, and the largest depth.
    n_scores, width : int
        Score columns, and columns of a tree. Trees of one column cycle over the score columns.
    leaf_probability : float, default=0.2
        Probability that a node above the largest depth is a leaf.
    allow_nan : bool, default=True
        Whether the ensemble takes missing values.
    n_thresholds : int, default=8
        Distinct thresholds per feature.
    integer_thresholds : bool, default=False
        Thresholds are the floats 0.5, 1.5, ..., or the codes 0, 1, ... of type int32.

    Returns
    -------
    ensemble : TreeEnsemble
        The ensemble, with float leaf values.
    """
    nodes: list[dict[str, Any]] = []

    def grow(level: int) -> int:
        number = len(nodes)
        node: dict[str, Any] = {"value": rng.normal(size=width)}
        nodes.append(node)
        if level == 0 or (level < depth and rng.random() < leaf_probability):
            node |= {"feature": LEAF, "threshold": 0.0, "missing_right": False, "left": LEAF, "right": LEAF}
            return number
        node["feature"] = int(rng.integers(n_features))
        node["threshold"] = float(rng.integers(n_thresholds)) + (0.0 if integer_thresholds else 0.5)
        node["missing_right"] = bool(rng.integers(2))
        node["left"] = grow(level - 1)
        node["right"] = grow(level - 1)
        return number

    offsets, columns = [0], []
    for tree in range(n_trees):
        grow(depth)
        offsets.append(len(nodes))
        columns.append(tree % n_scores if width == 1 else 0)
    dtypes: dict[str, Any] = {
        "feature": np.int32,
        "left": np.int32,
        "right": np.int32,
        "missing_right": np.bool_,
        "value": np.float64,
    }
    dtypes["threshold"] = np.int32 if integer_thresholds else np.float64
    arrays: dict[str, Any] = {name: np.array([node[name] for node in nodes], dtype=t) for name, t in dtypes.items()}
    n_columns = n_scores if width == 1 else width
    return TreeEnsemble(
        n_features=n_features,
        n_scores=n_columns,
        tree_offsets=np.array(offsets, dtype=np.int64),
        tree_columns=np.array(columns, dtype=np.int32),
        base_score=np.zeros(n_columns),
        link=IdentityLink(),
        allow_nan=allow_nan,
        **arrays,
    )


def random_rows(rng: np.random.Generator, n_rows: int, n_features: int = 4, n_thresholds: int = 8) -> np.ndarray:
    """Rows around the thresholds of `random_ensemble`, many exactly on one, some values missing.

    Parameters
    ----------
    rng : numpy.random.Generator
        Decides everything.
    n_rows, n_features, n_thresholds : int
        Numbers of rows, of features, and of distinct thresholds per feature.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features), float64
        Multiples of one half, and NaN.
    """
    rows = rng.integers(-1, 2 * n_thresholds + 2, size=(n_rows, n_features)) / 2
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows
