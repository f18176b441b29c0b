"""Sparse rows: what their absent entries stand for, and how they become dense a block at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from ._blocks import row_slices


def without_sparse_columns(X: Any) -> Any:
    """A data frame whose columns are all sparse as a dense one; anything else as it is.

    Libraries read such a frame as the values it shows, whatever they make of the absent entries of a sparse matrix.
    """
    if not (hasattr(X, "sparse") and hasattr(X, "dtypes")):
        return X
    pandas_sparse = [hasattr(dtype, "fill_value") for dtype in X.dtypes]
    return X.sparse.to_dense() if pandas_sparse and all(pandas_sparse) else X


def dense_blocks(X: Any, absent: float | None) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows of a matrix in dense blocks.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        A dense array is one block.
    absent : float or None
        What entries that a sparse matrix does not store stand for; None refuses sparse matrices.

    Yields
    ------
    rows : slice
        The rows of the block.
    block : ndarray of shape (n_rows, n_features)
        Dense.
    """
    if not sparse.issparse(X):
        yield slice(0, len(X)), X
        return
    if absent is None:
        raise ValueError(
            "This model's archive was written by a version that did not record what absent entries of sparse rows "
            "stand for (zeros, or missing values as in XGBoost): pass dense rows, or save the client archive again."
        )
    X = X.tocsr()
    for rows in row_slices(*X.shape):
        yield rows, _dense(X[rows], absent)


def dense_rows(X: Any, absent: float | None) -> Any:
    """A sparse matrix as one dense array; anything else as it is."""
    if not sparse.issparse(X):
        return X
    return np.concatenate([block for _, block in dense_blocks(X, absent)])


def dense_columns(X: Any, absent: float | None) -> Iterator[np.ndarray]:
    """Columns of a matrix, each dense and of shape (n_samples,); the parameters are those of `dense_blocks`."""
    if not sparse.issparse(X):
        yield from X.T
        return
    X = X.tocsc()
    for j in range(X.shape[1]):
        yield _dense(X[:, [j]].tocsr(), absent or 0.0)[:, 0]


def sparse_checks(X: Any, checks: dict[str, Any]) -> dict[str, Any]:
    """The checks of rows by scikit-learn's validation, once they may be sparse.

    Trees of scikit-learn accept missing values in dense rows only; they alone compare float32 and refuse infinity.
    """
    missing_in_dense = checks.get("dtype") == "float32" and checks.get("ensure_all_finite") == "allow-nan"
    stricter = {"ensure_all_finite": True} if missing_in_dense and sparse.issparse(X) else {}
    return {**checks, **stricter, "accept_sparse": "csr"}


def _dense(X: Any, absent: float) -> np.ndarray:
    if absent == 0.0:
        return X.toarray()
    X = X.copy()
    X.sum_duplicates()
    dense = np.full(X.shape, absent, dtype=np.result_type(X.dtype, np.float32))
    dense[np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices] = X.data
    return dense
