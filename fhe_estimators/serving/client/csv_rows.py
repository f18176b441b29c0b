"""CSV files as rows of a model: nothing is dropped, shifted or made missing without a word (client side)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, TextIO

import numpy as np

from ...utils import import_optional
from .features import Feature, Features, some_of

#: Of cells of numbers, and of cells of categories that are none of the model's.
MISSING_WORDS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "<NA>")


@dataclass
class Table:
    """Rows of a file.

    Parameters
    ----------
    rows : DataFrame or ndarray
        As the model takes them.
    texts : DataFrame
        Columns of the file as the texts that they are, which go into the table of scores.
    notes : list of str
        What a person should know of how the file was read.
    """

    rows: Any
    texts: Any
    notes: list[str] = field(default_factory=list)


class CSVRows:
    """A CSV file with a header, read a part at a time; the separator is a comma, a semicolon or a tab.

    Parameters
    ----------
    file : text file
        Opened with ``newline=""``.
    features : Features
        Of the model.
    keep : sequence of str, default=None
        Columns whose texts are kept; None for all that are no features. Where features have no names, these columns
        are none.

    Raises
    ------
    ValueError
        If the file is not as wide as its header everywhere, lacks columns, or has cells that are no numbers: a sentence
        that names the place.
    """

    def __init__(self, file: TextIO, features: Features, keep: Sequence[str] | None = None):
        self._features = features
        first = file.readline()
        self._lines = _lines(chain([first], file), max((",", ";", "\t"), key=first.count))
        header = next(self._lines, None)
        if header is None:
            raise ValueError("The file is empty: its first line must be the header, with the names of the columns.")
        self._header = [cell.strip() for cell in header]
        if all(is_number(cell) for cell in self._header):
            raise ValueError("The first line holds numbers: it must be the header, with the names of the columns.")
        self._wanted = features.places(self._header, keep or ())
        self._keep = keep

    def parts(self, size: int | None = None) -> Iterator[Table]:
        """The rows in order, so many at a time, or all."""
        done = 0
        while lines := list(islice(self._lines, size)):
            yield self._table(list(zip(*lines, strict=True)), done)
            done += len(lines)
        if not done:
            raise ValueError("The file has no rows below its header.")

    def _table(self, cells: list[tuple[str, ...]], n_before: int) -> Table:
        pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
        notes: list[str] = []
        pairs = zip(self._wanted, self._features.all, strict=True)
        columns = [_column(cells[place], feature, n_before, notes) for place, feature in pairs]
        kept = self._keep
        if kept is None:
            kept = [name for place, name in enumerate(self._header) if place not in set(self._wanted)]
            if self._features.are_named and kept:
                notes.append(f"Columns that are no features are kept beside the scores: {some_of(kept)}.")
        texts = {name: cells[self._header.index(name)] for name in kept}
        index = range(len(cells[0]))
        return Table(self._features.rows(columns), pandas.DataFrame(texts, index=index, dtype=object), notes)


def read_table(content: bytes, features: Features) -> Table:
    """All rows of a CSV file, as `CSVRows` reads them."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"The file is no UTF-8 text (byte {error.start}): save it as CSV in UTF-8.") from None
    return next(CSVRows(io.StringIO(text, newline=""), features).parts())


def _lines(file: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Header and rows of a text whose lines are equally wide: others are cut off, or shifted."""
    reader = csv.reader(file, delimiter=separator, strict=True)
    width = blank = 0
    try:
        for cells in reader:
            if not cells:
                blank = blank or reader.line_num
                continue
            if width and len(cells) != width:
                raise ValueError(
                    f"Line {reader.line_num} has {len(cells)} cells, and the header {width}: the file is cut off, or a "
                    "cell with a separator lacks quotes."
                )
            if blank and width == 1:
                raise ValueError(f'Line {blank} is empty: write "" for a missing value in a table of one column.')
            width = len(cells)
            yield cells
    except csv.Error as error:
        raise ValueError(f"Line {reader.line_num} is no CSV: {error}.") from None


def _column(cells: Sequence[str], feature: Feature, n_before: int, notes: list[str]) -> np.ndarray:
    return _numbers(cells, feature, n_before) if feature.options is None else _categories(cells, feature, notes)


def _numbers(cells: Sequence[str], feature: Feature, n_before: int) -> np.ndarray:
    values = np.empty(len(cells))
    for row, cell in enumerate(cells):
        word = cell.strip()
        if word in MISSING_WORDS:
            values[row] = np.nan
        elif is_number(word):
            values[row] = float(word)  # exactly: a last bit can decide a comparison
        else:
            raise ValueError(
                f"Row {n_before + row + 1}, column {feature.name!r}: {cell[:40]!r} is no number. Write it with a "
                "point: 1.5, or 2e-3."
            )
    if not feature.may_be_missing and np.isnan(values).any():
        row = n_before + int(np.flatnonzero(np.isnan(values))[0]) + 1
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
            f"Column {feature.name!r} holds categories that the training set did not have: {some_of(list(unknown))}. "
            "The model treats them as it does in the clear."
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
