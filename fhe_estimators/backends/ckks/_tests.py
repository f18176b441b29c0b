"""The tests of an ensemble: the distinct comparisons whose result bits clients encrypt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ensembles import MISSING, TreeEnsemble


@dataclass(frozen=True, eq=False)
class TestTable:
    """Comparisons ``code[feature] > threshold``; a missing value answers ``missing_right``.

    Attributes
    ----------
    feature, threshold : ndarray of shape (n_tests,), int32
    missing_right : ndarray of shape (n_tests,), bool
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_right: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Results of all tests on rows of codes, shape (n_rows, n_tests), bool."""
        code = codes[:, self.feature]
        return np.where(code == MISSING, self.missing_right, code > self.threshold)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For archives and client specs; inverse of `from_arrays`."""
        return {"feature": self.feature, "threshold": self.threshold, "missing_right": self.missing_right}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> TestTable:
        return cls(arrays["feature"], arrays["threshold"], arrays["missing_right"])


def tests_of_ensemble(ensemble: TreeEnsemble) -> tuple[TestTable, np.ndarray]:
    """Distinct tests of a quantized ensemble, and the index of each node's test (-1 in leaves).

    Without missing values their direction distinguishes nothing, and is dropped.
    """
    inner = ~ensemble.is_leaf
    missing = ensemble.missing_right & ensemble.allow_nan
    columns = np.stack([ensemble.feature, ensemble.threshold, missing], axis=1)[inner].astype(np.int64)
    distinct, index = np.unique(columns, axis=0, return_inverse=True)
    of_node = np.full(ensemble.n_nodes, -1, dtype=np.int64)
    of_node[inner] = index.reshape(-1)
    table = TestTable(distinct[:, 0].astype(np.int32), distinct[:, 1].astype(np.int32), distinct[:, 2].astype(bool))
    return table, of_node
