"""How rows become the numbers that trees compare: categories, sets of them, and values that stand for missing ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from ..utils import without_sparse_columns

_SCALARS = (bool, int, float, str)
#: Key of what is missing.
_MISSING = ("missing", "")


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories.

    Parameters
    ----------
    column : int
        Its position.
    values : tuple or None
        The code of a category is its position here. None: the categories of a DataFrame's column are not known.
    in_arrays : bool, default=False
        Whether arrays hold categories too, rather than their codes.
    """

    column: int
    values: tuple[Any, ...] | None
    in_arrays: bool = False

    def codes(self, categories: Iterable[Any], name: Any) -> np.ndarray:
        """Codes, float64, of categories; NaN for missing and unknown ones."""
        if self.values is None:
            raise ValueError(
                f"Column {name!r} holds categories, and the model does not know their codes: pass rows of the training "
                "set as X= to from_fitted (a DataFrame with the same categories), or an array of codes."
            )
        code_of = {_key(value): float(code) for code, value in enumerate(self.values)}
        code_of.pop(_MISSING, None)
        return np.array([code_of.get(_key(category), np.nan) for category in categories], dtype=np.float64)


@dataclass(frozen=True)
class CategorySet:
    """A feature that is 1 in rows whose category is in a set, and 0 in others.

    Parameters
    ----------
    column : int
        The column of categories.
    codes : tuple of int
        Codes of the set, in order.
    with_missing : bool
        Whether missing categories belong to it.
    """

    column: int
    codes: tuple[int, ...]
    with_missing: bool


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
        Whether categories that training did not see are an error rather than read as missing: XGBoost raises one for
        numbers, and in some versions for strings.
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
        bits = [self._bits(one, codes[one.column]) for one in self.sets]
        return np.column_stack([numbers, *bits])

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

    @staticmethod
    def _bits(one: CategorySet, codes: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(codes), one.with_missing, np.isin(codes, one.codes)).astype(np.float64)

    def _numbers_of_array(self, X: Any) -> np.ndarray:
        mapped = {category.column: category for category in self.categories if category.in_arrays}
        if mapped:
            X = check_array(X, dtype=None, ensure_all_finite=False)
            return np.column_stack(
                [
                    mapped[j].codes(X[:, j].tolist(), j) if j in mapped else _as_numbers(X[:, j], j)
                    for j in range(self.n_columns)
                ]
            )
        try:
            X = check_array(X, ensure_all_finite=False)
        except ValueError as error:
            if "could not convert" not in str(error) or not self.categories:
                raise
            raise ValueError(
                f"{error}: arrays hold the codes of categories; pass a DataFrame for their values."
            ) from error
        return X.astype(self.integer_dtype) if X.dtype.kind in "iu" else X

    def _numbers_of_frame(self, X: Any) -> np.ndarray:
        X = X.to_pandas() if hasattr(X, "to_pandas") else X
        if not len(X):
            raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
        mapped = {category.column: category for category in self.categories}
        columns = []
        for j, name in enumerate(X.columns):
            column = X.iloc[:, j]
            if j in mapped and (mapped[j].in_arrays or not _holds_numbers(column)):
                codes = _codes_of_series(mapped[j], column, name)
                unknown = np.isnan(codes) & ~column.isna().to_numpy()
                if self.refuses_unknown and unknown.any():
                    raise ValueError(
                        f"Column {name!r} holds {column[unknown].iloc[0]!r}, a category that the training set did not "
                        "have. Make it missing, or leave the row out."
                    )
                columns.append(codes)
            elif j in mapped and not _are_codes(mapped[j]):
                raise ValueError(
                    f"Column {name!r} has dtype {column.dtype}, and was one of categories in training: pass it with "
                    "dtype 'category' (values are matched with those of the training set)."
                )
            else:
                columns.append(_as_numbers(column, name))
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
            "categories": [
                {
                    "column": one.column,
                    "values": None if one.values is None else [_to_json(value) for value in one.values],
                    "in_arrays": one.in_arrays,
                }
                for one in self.categories
            ],
            "sets": [
                {"column": one.column, "codes": list(one.codes), "with_missing": one.with_missing} for one in self.sets
            ],
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
        categories = tuple(
            CategoryColumn(
                one["column"],
                None if one["values"] is None else tuple(_from_json(value) for value in one["values"]),
                one["in_arrays"],
            )
            for one in settings["categories"]
        )
        sets = tuple(CategorySet(one["column"], tuple(one["codes"]), one["with_missing"]) for one in settings["sets"])
        encoding = cls(**{**settings, "categories": categories, "sets": sets})
        columns = [*(one.column for one in categories), *(one.column for one in sets)]
        if any(type(column) is not int or not 0 <= column < encoding.n_columns for column in columns):
            raise ValueError("a category column of the encoding is out of range")
        for dtype in (encoding.input_dtype, encoding.integer_dtype):
            if dtype not in ("float32", "float64"):
                raise ValueError(f"the encoding has type {dtype!r}")
        return encoding


@dataclass
class SetFeatures:
    """Features of category sets, collected while trees are read; equal sets share one."""

    n_columns: int
    _index: dict[CategorySet, int] = field(default_factory=dict)

    def feature(self, column: int, codes: Iterable[int], *, with_missing: bool) -> int:
        """Number of the feature that is 1 in rows of the set."""
        one = CategorySet(int(column), tuple(sorted({int(code) for code in codes})), bool(with_missing))
        return self.n_columns + self._index.setdefault(one, len(self._index))

    @property
    def sets(self) -> tuple[CategorySet, ...]:
        return tuple(self._index)


def category_columns(X: Any) -> list[int]:
    """Positions of the columns of pandas categories of a DataFrame; none of anything else."""
    if not hasattr(X, "columns") or not hasattr(X, "iloc"):
        return []
    return [j for j in range(len(X.columns)) if hasattr(X.iloc[:, j], "cat")]


def category_values(X: Any, column: int) -> tuple[Any, ...]:
    """Categories of such a column, in the order of their codes."""
    return tuple(X.iloc[:, column].cat.categories.tolist())


def is_missing(value: Any) -> bool:
    """Whether a scalar is NaN, NaT or pandas' NA."""
    if value is None:
        return False
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


def _codes_of_series(category: CategoryColumn, column: Any, name: Any) -> np.ndarray:
    if hasattr(column, "cat"):
        of_dtype = np.append(category.codes(column.cat.categories.tolist(), name), np.nan)
        return of_dtype[column.cat.codes.to_numpy()]
    return category.codes(column.astype(object).tolist(), name)


def _holds_numbers(column: Any) -> bool:
    return getattr(column.dtype, "kind", "O") in "iufb"


def _are_codes(category: CategoryColumn) -> bool:
    return category.values is None


def _as_numbers(column: Any, name: Any) -> np.ndarray:
    if hasattr(column, "cat"):
        raise ValueError(
            f"Column {name!r} has dtype 'category', and was one of numbers in training: pass it as it was then."
        )
    try:
        if hasattr(column, "to_numpy"):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Column {name!r} holds no numbers ({error}). Encode it before (OrdinalEncoder or OneHotEncoder in a "
            "pipeline), or train a boosted model on it as a column of categories (dtype 'category')."
        ) from error


def _key(value: Any) -> Any:
    """What identifies a category; numbers of any type are equal if their values are."""
    if isinstance(value, (np.generic,)) and value.dtype.kind in "biufU":
        value = value.item()
    if is_missing(value):
        return _MISSING
    if value is None or isinstance(value, _SCALARS):
        return value
    return (value.type, value.text) if isinstance(value, OtherValue) else (type(value).__name__, str(value))


def _to_json(value: Any) -> Any:
    key = _key(value)
    return {"type": key[0], "text": key[1]} if isinstance(key, tuple) else key


def _from_json(value: Any) -> Any:
    return OtherValue(str(value["type"]), str(value["text"])) if isinstance(value, dict) else value


@dataclass(frozen=True)
class OtherValue:
    """A category that is neither a number nor a string, such as an interval, as archives hold it."""

    type: str
    text: str
