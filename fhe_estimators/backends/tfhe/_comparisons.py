"""The distinct comparisons of an ensemble."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ...ensembles import MISSING, TreeEnsemble


@dataclass(frozen=True)
class Comparisons:
    """``code[feature] > threshold``, or ``missing_right`` if the code is missing; arrays of shape (n_comparisons,).

    Parameters
    ----------
    feature, threshold : ndarray of int32
    missing_right : ndarray of bool
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_right: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Results for rows of codes, shape (n_samples, n_comparisons), int64."""
        code = codes[:, self.feature]
        return np.where(code == MISSING, self.missing_right, code > self.threshold).astype(np.int64)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For client specs; inverse of `from_arrays`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Comparisons:
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})


def distinct_comparisons(ensemble: TreeEnsemble) -> tuple[Comparisons, np.ndarray]:
    """Comparisons of an ensemble, and the index of each node's (-1 in leaves)."""
    inner = ~ensemble.is_leaf
    missing_right = ensemble.missing_right & ensemble.allow_nan  # or it distinguishes nothing
    columns = np.stack([ensemble.feature, ensemble.threshold, missing_right], axis=1)[inner].astype(np.int64)
    distinct, index = np.unique(columns, axis=0, return_inverse=True)
    of_node = np.full(ensemble.n_nodes, -1, dtype=np.int64)
    of_node[inner] = index.reshape(-1)
    feature, threshold, right = distinct.T if len(distinct) else np.empty((3, 0), dtype=np.int64)
    return Comparisons(feature.astype(np.int32), threshold.astype(np.int32), right.astype(bool)), of_node
