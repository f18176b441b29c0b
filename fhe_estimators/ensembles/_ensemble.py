"""`TreeEnsemble`: one frozen struct of arrays for every tree model the library knows."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import numpy as np

from ._encoding import RowEncoding
from ._validation import validate_ensemble
from .links import Link

#: Code of a missing value in quantized features (it is a bin of its own).
MISSING = -1

#: Marks "no child" and "no feature" in leaves.
LEAF = -1


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """A sum of binary decision trees, in the float domain or, once quantized, in integers.

    All nodes of all trees live in the same arrays; tree ``t`` owns the nodes
    ``tree_offsets[t]:tree_offsets[t + 1]`` and its root is the first of them. A row ``x`` at an inner
    node ``i`` with ``v = x[feature[i]]`` goes

    - right if ``missing_right[i]``, else left, when ``v`` is missing (NaN, or `MISSING` if quantized);
    - left if ``v < threshold[i]`` when ``strict`` else ``v <= threshold[i]``;
    - right otherwise.

    Float rows are first cast to ``input_dtype``, as the source library does. The score of a row is
    ``base_score + sum(value of the reached leaves) / score_scale``; tree ``t`` adds its ``width``
    values to the score columns starting at ``tree_columns[t]``.

    Parameters
    ----------
    n_features, n_scores : int
        Width of the input rows and of the scores.
    tree_offsets : ndarray of shape (n_trees + 1,), int64
        First node of each tree; the last entry is the number of nodes.
    tree_columns : ndarray of shape (n_trees,), int32
        First score column that each tree adds to.
    feature : ndarray of shape (n_nodes,), int32
        Feature tested by each node, `LEAF` in leaves.
    threshold : ndarray of shape (n_nodes,), float64, or int32 when quantized
        Ignored in leaves.
    left, right : ndarray of shape (n_nodes,), int32
        Indices of the children in the node arrays, `LEAF` in leaves.
    missing_right : ndarray of shape (n_nodes,), bool
        Whether missing values go right.
    value : ndarray of shape (n_nodes, width), float64, or int64 when quantized
        Leaf values; ignored in inner nodes.
    base_score : ndarray of shape (n_scores,), float64
        What is added to the sums of leaves.
    link : Link
        The link tells how the data owner turns scores into predictions.
    strict : bool, default=False
        Whether ``v < threshold`` (XGBoost) rather than ``v <= threshold`` goes left.
    input_dtype : {"float32", "float64"}, default="float64"
        Rows are cast to this type before they are compared.
    allow_nan : bool, default=False
        Whether the source model accepts missing values.
    score_scale : ndarray of shape (n_scores,), float64, or float, default=1.0
        Integer leaf values of a score column are real leaf values times this; a float stands for all columns.
    cover : ndarray of shape (n_nodes,), float64, default=None
        Weight of the training samples that reached each node, where the source model tells it. Quantized ensembles
        have none: no server needs it.
    encoding : RowEncoding, default=None
        How a data owner's rows become the features, where they are not the features themselves. Quantized ensembles
        have none: it is the quantizer that knows it then.
    """

    n_features: int
    n_scores: int
    tree_offsets: np.ndarray
    tree_columns: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray
    missing_right: np.ndarray
    value: np.ndarray
    base_score: np.ndarray
    link: Link
    strict: bool = False
    input_dtype: str = "float64"
    allow_nan: bool = False
    score_scale: np.ndarray = 1.0  # type: ignore[assignment]  # a float is broadcast
    cover: np.ndarray | None = None
    encoding: RowEncoding | None = field(default=None, metadata={"of_client": True})

    def __post_init__(self) -> None:
        scale = np.asarray(self.score_scale, dtype=np.float64)
        object.__setattr__(self, "score_scale", np.broadcast_to(scale, (self.n_scores,)) if scale.ndim == 0 else scale)
        validate_ensemble(self)
        for one in fields(self):
            array = getattr(self, one.name)
            if isinstance(array, np.ndarray):
                array = array.view()
                array.setflags(write=False)
                object.__setattr__(self, one.name, array)

    @property
    def n_columns(self) -> int:
        """Number of columns of a data owner's rows."""
        return self.n_features if self.encoding is None else self.encoding.n_columns

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.tree_columns)

    @property
    def n_nodes(self) -> int:
        """Number of nodes of all trees, leaves included."""
        return len(self.feature)

    @property
    def width(self) -> int:
        """Number of score columns one tree adds to."""
        return self.value.shape[1]

    @property
    def is_leaf(self) -> np.ndarray:
        """Mask of shape (n_nodes,)."""
        return self.feature == LEAF

    @property
    def is_quantized(self) -> bool:
        """Whether thresholds and leaf values are integers."""
        return self.threshold.dtype.kind == "i" and self.value.dtype.kind == "i"

    def node_heights(self) -> np.ndarray:
        """Height of each node.

        Returns
        -------
        heights : ndarray of shape (n_nodes,), int32
            0 for a leaf, 1 for a node over two leaves, and so on.
        """
        height = np.zeros(self.n_nodes, dtype=np.int32)
        inner = np.flatnonzero(~self.is_leaf)
        while True:
            update = 1 + np.maximum(height[self.left[inner]], height[self.right[inner]])
            if np.array_equal(update, height[inner]):
                return height
            height[inner] = update

    @property
    def depth(self) -> int:
        """Largest number of comparisons on a path from a root to a leaf."""
        return int(self.node_heights().max(initial=0))

    def tree_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest leaf values of each tree.

        Returns
        -------
        low : ndarray of shape (n_trees, width)
            Smallest.
        high : ndarray of shape (n_trees, width)
            Largest.
        """
        leaves = self.is_leaf[:, None]
        limits = np.iinfo(self.value.dtype) if self.value.dtype.kind == "i" else np.finfo(self.value.dtype)
        roots = self.tree_offsets[:-1]
        low = np.minimum.reduceat(np.where(leaves, self.value, limits.max), roots)
        high = np.maximum.reduceat(np.where(leaves, self.value, limits.min), roots)
        return low, high

    def score_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest sums of leaf values, base score excluded.

        Returns
        -------
        low : ndarray of shape (n_scores,)
            Smallest.
        high : ndarray of shape (n_scores,)
            Largest.
        """
        low, high = self.tree_bounds()
        return self.sum_by_column(low), self.sum_by_column(high)

    def sum_by_column(self, of_trees: np.ndarray) -> np.ndarray:
        """Sums over trees of what each tree has for the score columns that it adds to.

        Parameters
        ----------
        of_trees : ndarray of shape (n_trees, width)
            What belongs to each tree.

        Returns
        -------
        sums : ndarray of shape (n_scores,)
            Of the type of ``of_trees``.
        """
        total = np.zeros(self.n_scores, dtype=of_trees.dtype)
        np.add.at(total, self.tree_columns[:, None] + np.arange(self.width), of_trees)
        return total
