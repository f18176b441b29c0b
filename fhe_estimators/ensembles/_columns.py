"""Columns of tables as numbers; what holds none is named in the error, with a way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from scipy import sparse

_WAY_OUT = (
    "Encode it before (OrdinalEncoder or OneHotEncoder in a pipeline), or train a boosted model on it as a column of "
    "categories (dtype 'category')."
)
_WAY_OUT_OF_DATES = "Make numbers of it before, such as (column - start).dt.days, or its year, month and weekday."


def category_columns(X: Any) -> list[int]:
    """Positions of the columns of pandas categories.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    positions : list of int
        None of anything that is no DataFrame.
    """
    if not _is_frame(X):
        return []
    return [j for j in range(len(X.columns)) if hasattr(X.iloc[:, j], "cat")]


def category_values(X: Any, column: int) -> tuple[Any, ...]:
    """Categories of such a column, in the order of their codes."""
    return tuple(X.iloc[:, column].cat.categories.tolist())


def holds_numbers(column: Any) -> bool:
    """Whether the type of a column is one of numbers or truth values."""
    return getattr(column.dtype, "kind", "O") in "iufb"


def as_numbers(column: Any, name: Any) -> np.ndarray:
    """A column of a DataFrame or an array as numbers.

    Parameters
    ----------
    column : Series or ndarray of shape (n_samples,)
        Values.
    name : str or int
        What it is called in errors.

    Returns
    -------
    numbers : ndarray of shape (n_samples,), float64
        NaN for missing values.

    Raises
    ------
    TypeError, ValueError
        If a value is no number; the message names the column and a way out.
    """
    _refuse_type(column.dtype, name)
    try:
        if hasattr(column, "to_numpy"):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"Column {name!r} holds no numbers ({error}). {_WAY_OUT}") from error


@contextmanager
def naming_columns(X: Any) -> Iterator[None]:
    """Errors of rows name the column that holds no numbers.

    Dates and durations, of which NumPy would make numbers of a unit that the version of pandas decides, are errors.

    Parameters
    ----------
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        What is validated meanwhile.

    Yields
    ------
    None
        Once the types of the columns are found to be right.
    """
    for name, dtype in _types(X):
        _refuse_type(dtype, name)
    try:
        yield
    except (TypeError, ValueError):
        for name, column in _columns(X):
            if not holds_numbers(column):
                as_numbers(column, name)
        raise


def _refuse_type(dtype: Any, name: Any) -> None:
    kind = getattr(dtype, "kind", "O")
    if kind in "mM":
        raise ValueError(f"Column {name!r} holds dates or times ({dtype}). {_WAY_OUT_OF_DATES}")
    if kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} has type {dtype}.")


def _types(X: Any) -> list[tuple[Any, Any]]:
    """Names and types of columns, where they have any; an array's one type is that of its first column."""
    if _is_frame(X):
        return list(zip(X.columns, X.dtypes, strict=True))
    return [(0, X.dtype)] if hasattr(X, "dtype") else []


def _columns(X: Any) -> list[tuple[Any, Any]]:
    """Names and values of the columns of a table; none of what is no table."""
    if _is_frame(X):
        return [(name, X.iloc[:, j]) for j, name in enumerate(X.columns)]
    if sparse.issparse(X):
        return []
    try:
        table = np.asarray(X) if hasattr(X, "dtype") else np.array(X, dtype=object)
    except (TypeError, ValueError):  # rows of different lengths
        return []
    return list(enumerate(table.T)) if table.ndim == 2 else []


def _is_frame(X: Any) -> bool:
    return hasattr(X, "iloc") and hasattr(X, "columns")
