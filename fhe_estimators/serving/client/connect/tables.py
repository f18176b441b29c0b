"""CSV files as rows of a model: nothing is dropped, shifted or made missing without a word (client side)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....utils import import_optional
from .features import Feature, Features

#: Of cells of numbers, and of cells of categories that are none of the model's.
MISSING_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")
_SHOWN = 5


@dataclass
class Table:
    """The rows of a file.

    Parameters
    ----------
    rows : DataFrame or ndarray
        As the model takes them.
    others : DataFrame
        The other columns, as texts: they go into the table of scores.
    notes : list of str
        What a person should know of how the file was read.
    """

    rows: Any
    others: Any
    notes: list[str] = field(default_factory=list)


def read_table(content: bytes, features: Features) -> Table:
    """Rows of a CSV file with a header; the separator is a comma, a semicolon or a tab.

    Raises
    ------
    ValueError
        If the file is not as wide as its header everywhere, lacks columns of the model, or has cells that are no
        numbers: a sentence that names the place.
    """
    pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"The file is no UTF-8 text (byte {error.start}): save it as CSV in UTF-8.") from None
    header, lines = _lines(text)
    wanted = _places(header, features)
    cells = list(zip(*lines, strict=True))
    notes: list[str] = []
    columns = [_column(cells[place], feature, notes) for place, feature in zip(wanted, features.all, strict=True)]
    others = pandas.DataFrame({name: cells[j] for j, name in enumerate(header) if j not in set(wanted)}, dtype=object)
    if features.are_named and others.shape[1]:
        notes.append(f"Columns that are no features are kept beside the scores: {_some(list(others.columns))}.")
    return Table(features.rows(columns), others, notes)


def _lines(text: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a text whose lines are equally wide: others are cut off, or shifted."""
    first = text.partition("\n")[0]
    separator = max((",", ";", "\t"), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    found: list[list[str]] = []
    blank = 0
    try:
        for cells in reader:
            if not cells:
                blank = blank or reader.line_num
                continue
            if found and len(cells) != len(found[0]):
                raise ValueError(
                    f"Line {reader.line_num} has {len(cells)} cells, and the header {len(found[0])}: the file is cut "
                    "off, or a cell with a separator lacks quotes."
                )
            if blank and found and len(cells) == 1:
                raise ValueError(f'Line {blank} is empty: write "" for a missing value in a table of one column.')
            found.append(cells)
    except csv.Error as error:
        raise ValueError(f"Line {reader.line_num} is no CSV: {error}.") from None
    if len(found) < 2:
        raise ValueError("The file has no rows below its header.")
    return [cell.strip() for cell in found[0]], found[1:]


def _places(header: list[str], features: Features) -> list[int]:
    """Where the features are in the file."""
    if all(is_number(cell) for cell in header):
        raise ValueError("The first line holds numbers: it must be the header, with the names of the columns.")
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise ValueError(f"Columns have the same name: {_some(repeated)}.")
    if not features.are_named:
        if len(header) != len(features.all):
            raise ValueError(
                f"The model has {len(features.all)} features without names, and the file {len(header)} columns: leave "
                "out the others."
            )
        return list(range(len(header)))
    place_of = {name: place for place, name in enumerate(header)}
    lacking = [feature.name for feature in features.all if feature.name.strip() not in place_of]
    if lacking:
        raise ValueError(f"The file lacks {len(lacking)} columns of the model: {_some(lacking)}.")
    return [place_of[feature.name.strip()] for feature in features.all]


def _column(cells: Sequence[str], feature: Feature, notes: list[str]) -> np.ndarray:
    return _numbers(cells, feature) if feature.options is None else _categories(cells, feature, notes)


def _numbers(cells: Sequence[str], feature: Feature) -> np.ndarray:
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        word = cell.strip()
        if word in MISSING_WORDS:
            values[row] = np.nan
        elif is_number(word):
            values[row] = float(word)  # exactly: a last bit can decide a comparison
        else:
            raise ValueError(
                f"Row {row + 1}, column {feature.name!r}: {cell[:40]!r} is no number. Write it with a point: 1.5, or "
                "2e-3."
            )
    if not feature.may_be_missing and np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values))[0]) + 1
        raise ValueError(f"Row {row}, column {feature.name!r} is missing, and the model takes no missing values.")
    return values


def _categories(cells: Sequence[str], feature: Feature, notes: list[str]) -> np.ndarray:
    """Categories by what they look like in a file; numbers by their value (1 is 1.0)."""
    options = feature.options or ()
    of_text = {str(option): option for option in options}
    of_number = {float(option): option for option in options if isinstance(option, (int, float)) and option == option}
    values = np.empty(len(cells), dtype=object)
    unknown: dict[str, None] = {}
    for row, cell in enumerate(cells):
        word = cell if cell in of_text else cell.strip()
        if word in of_text:
            values[row] = of_text[word]
        elif word in MISSING_WORDS:
            values[row] = np.nan
        elif is_number(word) and float(word) in of_number:
            values[row] = of_number[float(word)]
        else:
            values[row] = word
            unknown[word] = None
    if unknown:
        notes.append(
            f"Column {feature.name!r} holds categories that the training set did not have: {_some(list(unknown))}. The "
            "model treats them as it does in the clear."
        )
    return values


def is_number(word: str) -> bool:
    """Whether a cell holds a number."""
    if "_" in word:  # Python's own spelling
        return False
    try:
        float(word)
    except ValueError:
        return False
    return True


def _some(names: list[Any]) -> str:
    shown = ", ".join(repr(str(name)[:60]) for name in names[:_SHOWN])
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
