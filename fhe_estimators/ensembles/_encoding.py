"""How rows become the numbers that trees compare: categories, sets of them, and values that stand for missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from ..utils import without_sparse_columns
from ._categories import CategoryColumn, CategorySet
from ._columns import as_numbers, holds_numbers, naming_columns


@dataclass(frozen=True)
class RowEncoding:
    """From a data owner's rows to the features of a `TreeEnsemble`: the columns, then a feature for each set.

    Parameters
    ----------
    n_columns : int
        Number of columns of the rows.
    input_dtype : {"float32", "float64"}, default="float64"
        The type in which the model's library reads numbers.
    missing : float, default=None
        The value that stands for missing ones, besides NaN.
    integer_dtype : {"float32", "float64"}, default="float64"
        The type that arrays of integers are read in. LightGBM rounds them to float32.
    signed_fractions : bool, default=False
        Whether codes between -1 and 0 are read as 0 (LightGBM) rather than as of no category (XGBoost).
    refuses_unknown : bool, default=False
        Whether categories that training did not see are an error rather than read as missing. It is for XGBoost, whose
        newest version raises one; version 3.2 takes the known category that follows in order.
    categories : tuple of CategoryColumn, default=()
        Columns of categories, in order.
    sets : tuple of CategorySet, default=()
        The features that follow the columns.
    """

    n_columns: int
    input_dtype: str = "float64"
    missing: float | None = None
    integer_dtype: str = "float64"
    signed_fractions: bool = False
    refuses_unknown: bool = False
    categories: tuple[CategoryColumn, ...] = ()
    sets: tuple[CategorySet, ...] = ()

    def transform(self, X: Any) -> np.ndarray:
        """Features of rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_columns)
            Rows, as the model's own library takes them.

        Returns
        -------
        features : ndarray of shape (n_samples, n_columns + n_sets), float64
            NaN for missing values of columns of numbers. Sparse rows stay sparse.

        Raises
        ------
        ValueError
            If a column holds something else than numbers, or than the categories that the model knows.
        """
        X = without_sparse_columns(X)
        if sparse.issparse(X):
            return self._sparse_rows(X)
        numbers = self._numbers_of_frame(X) if hasattr(X, "columns") else self._numbers_of_array(X)
        with np.errstate(over="ignore"):
            numbers = numbers.astype(self.input_dtype).astype(np.float64)
            if self.missing is not None:
                numbers[numbers == np.float64(np.dtype(self.input_dtype).type(self.missing))] = np.nan
        codes = {column: self._codes(numbers[:, column]) for column in {one.column for one in self.sets}}
        return np.column_stack([numbers, *(one.indicator(codes[one.column]) for one in self.sets)])

    def _sparse_rows(self, X: Any) -> Any:
        """Sparse rows, which stay sparse; only values that stand for missing ones change."""
        if self.categories or self.sets:
            raise ValueError("The model splits on categories, which sparse rows cannot hold: pass a DataFrame.")
        X = check_array(X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=False)
        if self.missing is not None:
            X = X.copy()
            X.data[X.data == np.dtype(self.input_dtype).type(self.missing)] = np.nan
        return X

    def _codes(self, column: np.ndarray) -> np.ndarray:
        return np.trunc(column) if self.signed_fractions else np.floor(column)

    def _numbers_of_array(self, X: Any) -> np.ndarray:
        mapped = {category.column: category for category in self.categories if category.in_arrays}
        if mapped:
            X = check_array(X, dtype=None, ensure_all_finite=False)
            return np.column_stack(
                [
                    mapped[j].codes(X[:, j].tolist(), j) if j in mapped else as_numbers(X[:, j], j)
                    for j in range(self.n_columns)
                ]
            )
        try:
            with naming_columns(X):
                X = check_array(X, ensure_all_finite=False)
        except ValueError as error:
            if "could not convert" in str(error) and self.categories:
                raise ValueError(
                    f"{error} Arrays hold the codes of categories; pass a DataFrame for their values."
                ) from error
            raise
        return X.astype(self.integer_dtype) if X.dtype.kind in "iu" else X

    def _numbers_of_frame(self, X: Any) -> np.ndarray:
        X = X.to_pandas() if hasattr(X, "to_pandas") else X
        if not len(X):
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
        mapped = {category.column: category for category in self.categories}
        columns = []
        for j, name in enumerate(X.columns):
            column = X.iloc[:, j]
            if j in mapped and (mapped[j].in_arrays or not holds_numbers(column)):
                codes = _codes_of_series(mapped[j], column, name)
                unknown = np.isnan(codes) & ~column.isna().to_numpy()
                if self.refuses_unknown and unknown.any():
                    first = column[unknown].iloc[0]
                    first = first.item() if isinstance(first, np.generic) else first
                    raise ValueError(
                        f"Column {name!r} holds {first!r}, a category that the training set did not "
                        "have. Make it missing, or leave the row out."
                    )
                columns.append(codes)
            elif j in mapped and mapped[j].values is not None:
                raise ValueError(
                    f"Column {name!r} has dtype {column.dtype}, and was one of categories in training: pass it with "
                    "dtype 'category' (values are matched with those of the training set)."
                )
            elif hasattr(column, "cat"):
                raise ValueError(
                    f"Column {name!r} has dtype 'category', and was one of numbers in training: pass it as it was then."
                )
            else:
                columns.append(as_numbers(column, name))
        return np.column_stack(columns)

    def to_dict(self) -> dict[str, Any]:
        """Plain settings, for archives.

        Returns
        -------
        settings : dict
            JSON-serializable.
        """
        return {
            "n_columns": self.n_columns,
            "input_dtype": self.input_dtype,
            "missing": self.missing,
            "integer_dtype": self.integer_dtype,
            "signed_fractions": self.signed_fractions,
            "refuses_unknown": self.refuses_unknown,
            "categories": [one.to_dict() for one in self.categories],
            "sets": [one.to_dict() for one in self.sets],
        }

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> RowEncoding:
        """Restore what `to_dict` wrote; anything else raises an error.

        Parameters
        ----------
        settings : dict
            The settings that `to_dict` returned.

        Returns
        -------
        encoding : RowEncoding
            Equal to the one that was stored.
        """
        categories = tuple(CategoryColumn.from_dict(one) for one in settings["categories"])
        sets = tuple(CategorySet.from_dict(one) for one in settings["sets"])
        encoding = cls(**{**settings, "categories": categories, "sets": sets})
        columns = [*(one.column for one in categories), *(one.column for one in sets)]
        if any(type(column) is not int or not 0 <= column < encoding.n_columns for column in columns):
            raise ValueError("a category column of the encoding is out of range")
        for dtype in (encoding.input_dtype, encoding.integer_dtype):
            if dtype not in ("float32", "float64"):
                raise ValueError(f"the encoding has type {dtype!r}")
        return encoding


def _codes_of_series(category: CategoryColumn, column: Any, name: Any) -> np.ndarray:
    if hasattr(column, "cat"):
        of_dtype = np.append(category.codes(column.cat.categories.tolist(), name), np.nan)
        return of_dtype[column.cat.codes.to_numpy()]
    return category.codes(column.astype(object).tolist(), name)
