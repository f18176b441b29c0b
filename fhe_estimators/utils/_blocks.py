"""Rows in blocks, for work whose memory would grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scipy import sparse

#: Entries of a block: 32 MiB of float64.
BLOCK_ENTRIES = 1 << 22


def row_slices(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Slices of rows that make blocks of bounded size.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    n_columns : int
        Entries of a row.

    Yields
    ------
    rows : slice
        In order; one empty slice if there are no rows.
    """
    step = max(1, BLOCK_ENTRIES // max(1, n_columns))
    for start in range(0, max(1, n_rows), step):
        yield slice(start, min(start + step, n_rows))


def row_blocks(X: Any, n_columns: int) -> Iterator[Any]:
    """Rows in blocks of bounded size.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Arrays, sparse matrices and pandas DataFrames are cut, without a copy where possible. Anything else is one
        block: the type of a list is decided by all of its rows.
    n_columns : int
        Entries of a row in the work that is done with it.

    Yields
    ------
    block : array-like, sparse matrix or DataFrame of shape (n_rows, n_features)
        Of the type of `X`; one without rows if there are none.
    """
    if getattr(X, "ndim", 0) != 2 or not (
        sparse.issparse(X) or hasattr(X, "iloc") or hasattr(X, "__array_interface__")
    ):
        yield X
        return
    X = X.tocsr() if sparse.issparse(X) else X
    rows_of = X.iloc if hasattr(X, "iloc") else X
    for rows in row_slices(X.shape[0], n_columns):
        yield rows_of[rows]
