"""Columns of categories, sets of categories, and what identifies a category."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

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
        keys = [_key(category) for category in categories]
        if any(isinstance(value, float) for value in code_of):  # as wide integers are compared with floats in an array
            keys = [float(key) if type(key) is int else key for key in keys]
        return np.array([code_of.get(key, np.nan) for key in keys], dtype=np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain settings, for archives."""
        values = None if self.values is None else [_to_json(value) for value in self.values]
        return {"column": self.column, "values": values, "in_arrays": self.in_arrays}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> CategoryColumn:
        """Restore what `to_dict` wrote."""
        values = settings["values"]
        known = None if values is None else tuple(_from_json(value) for value in values)
        return cls(settings["column"], known, settings["in_arrays"])


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

    def indicator(self, codes: np.ndarray) -> np.ndarray:
        """1 where a code, float64 and NaN for a missing one, is in the set, else 0."""
        return np.where(np.isnan(codes), self.with_missing, np.isin(codes, self.codes)).astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Plain settings, for archives."""
        return {"column": self.column, "codes": list(self.codes), "with_missing": self.with_missing}

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> CategorySet:
        """Restore what `to_dict` wrote."""
        return cls(settings["column"], tuple(settings["codes"]), settings["with_missing"])


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


def is_missing(value: Any) -> bool:
    """Whether a scalar is NaN, NaT or pandas' NA."""
    if value is None:
        return False
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither true nor false
        return True


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
