"""What a person is asked for: a field for each feature, and how what is typed becomes a row (client side)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...ensembles import RowEncoding
from ...utils import import_optional
from ..archive import ClientModel

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
#: Names in a message.
_SHOWN = 5


@dataclass(frozen=True)
class Feature:
    """A column of rows.

    Parameters
    ----------
    name : str
        Its name, or its number from 1 for models without names.
    options : tuple or None
        Categories; None for numbers.
    may_be_missing : bool
        Whether the model takes missing values.
    hint : str
        What the model compares it with.
    """

    name: str
    options: tuple[Any, ...] | None
    may_be_missing: bool
    hint: str

    def typed(self, text: str | None) -> Any:
        """The value of a field's text: of categories, their number.

        Raises
        ------
        ValueError
            If it is none.
        """
        text = (text or "").strip()
        if not text:
            if not self.may_be_missing:
                raise ValueError(f"{self.name}: the model takes no missing values.")
            return np.nan
        if self.options is not None:
            if not (text.isascii() and text.isdecimal()) or int(text) >= len(self.options):
                raise ValueError(f"{self.name}: no such category.")
            return self.options[int(text)]
        if not _NUMBER.fullmatch(text):
            raise ValueError(f"{self.name}: {text[:40]!r} is no number. Write it with a point: 1.5, or 2e-3.")
        if math.isinf(float(text)):
            raise ValueError(f"{self.name}: {text[:40]} is too large for a number.")
        return float(text)


class Features:
    """All columns of a model's rows, in order.

    Parameters
    ----------
    model : ClientModel
        What the client archive holds.
    """

    def __init__(self, model: ClientModel):
        quantizer = model.quantizer
        names = getattr(quantizer, "feature_names_in_", None)
        self.are_named = names is not None
        encoding: RowEncoding | None = quantizer.encoding_
        options = {
            one.column: one.values
            for one in (encoding.categories if encoding is not None else ())
            if one.values is not None and (self.are_named or one.in_arrays)
        }
        may_be_missing = model.row_checks.get("ensure_all_finite") is not True
        self.all = [
            Feature(
                str(names[j]) if names is not None else f"Feature {j + 1}",
                options.get(j),
                may_be_missing or j in options,
                "" if j in options else _hint(quantizer.edges_[j]),
            )
            for j in range(quantizer.n_features_in_)
        ]

    def places(self, names: Sequence[str], keep: Sequence[str] = ()) -> list[int]:
        """Where the features are among the columns of a table.

        Parameters
        ----------
        names : sequence of str
            Of the columns, as the features are called or without the blanks around that.
        keep : sequence of str
            Columns to copy; where features have no names, these columns are none.

        Raises
        ------
        ValueError
            If two columns have one name, or some are lacking or too many.
        """
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"Columns have the same name: {some_of(repeated)}.")
        lacking = [name for name in keep if name not in names]
        if lacking:
            raise ValueError(f"The file lacks columns that are to be kept: {some_of(lacking)}.")
        if not self.are_named:
            places = [place for place, name in enumerate(names) if name not in keep]
            if len(places) != len(self.all):
                raise ValueError(
                    f"The model has {len(self.all)} features without names, and the file {len(places)} columns for "
                    "them: leave out the others."
                )
            return places
        place_of = {name: place for place, name in enumerate(names)}
        found = [place_of.get(feature.name, place_of.get(feature.name.strip())) for feature in self.all]
        lacking = [feature.name for feature, place in zip(self.all, found, strict=True) if place is None]
        if lacking:
            raise ValueError(f"The file lacks {len(lacking)} columns of the model: {some_of(lacking)}.")
        return [place for place in found if place is not None]

    def row(self, texts: Sequence[str | None]) -> Any:
        """One row as the model takes it, of what was typed."""
        if len(texts) != len(self.all):
            raise ValueError(f"The model has {len(self.all)} features; {len(texts)} values came.")
        values = [feature.typed(text) for feature, text in zip(self.all, texts, strict=True)]
        return self.rows([np.array([value], dtype=object) for value in values])

    def rows(self, columns: Sequence[Any]) -> Any:
        """Rows as the model takes them, of columns: a DataFrame, or an array for models without names."""
        kinds = [np.float64 if feature.options is None else object for feature in self.all]
        typed = [np.asarray(column).astype(kind) for column, kind in zip(columns, kinds, strict=True)]
        if self.are_named:
            pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
            names = [feature.name for feature in self.all]
            return pandas.DataFrame(dict(zip(names, typed, strict=True)))
        return (
            np.column_stack([column.astype(object) for column in typed]) if object in kinds else np.column_stack(typed)
        )


def some_of(names: Sequence[Any]) -> str:
    """The first few names, for a message."""
    shown = ", ".join(repr(str(name)[:60]) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def _hint(edges: np.ndarray) -> str:
    if not len(edges):
        return "not compared by this model"
    low, high = f"{edges[0]:.6g}", f"{edges[-1]:.6g}"
    return f"compared with {low}" if low == high else f"compared with {low} to {high}"
