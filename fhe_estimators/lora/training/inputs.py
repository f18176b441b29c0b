"""What users pass as ``X``, whatever its container, as one row a text."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

#: Columns that a table of texts may have, the first one that is there counts.
COLUMNS = ("input_ids", "messages", "text")


@dataclass(frozen=True)
class Row:
    """One text, before it is tokenized.

    Parameters
    ----------
    number : int
        Its place in ``X``, for errors.
    value : str, tuple of two str, list of messages, or list of int
        A text, a pair of texts, a conversation, or token ids.
    labels, token_types : list of int or None
        What the tokens are to be predicted as, and which text they are of; for token ids only.
    is_padded : bool
        It is of a rectangle, which may be padded.
    """

    number: int
    value: Any
    labels: list[int] | None = None
    token_types: list[int] | None = None
    is_padded: bool = False


def rows_of(X: Any) -> list[Row]:
    """The rows of a list, array, tensor, Series, DataFrame, Dataset, dict of columns, or a tokenizer's output.

    Raises
    ------
    ValueError
        If it is a single text, a table without a column of texts, or anything else that is not texts.
    """
    if isinstance(X, (str, bytes, bytearray)):
        raise ValueError("X is a single text; pass a list of texts or of sequences of token ids.")
    if isinstance(X, Set):
        raise ValueError("X is a set, which has no order: pass a list.")
    items = _records(X)
    if items is None:
        try:
            items = X.tolist() if hasattr(X, "tolist") else list(X)
        except TypeError:
            items = None
        if not isinstance(items, list):
            raise ValueError(f"X is of type {type(X).__name__}: pass a list of texts or of sequences of token ids.")
    if not items:
        raise ValueError("X is empty: at least one text is needed.")
    if all(is_message(item) for item in items):
        raise ValueError("X is a single conversation; pass a list of conversations: [X].")
    rectangle = getattr(X, "ndim", None) == 2
    return [_row(number, item, rectangle) for number, item in enumerate(items)]


def is_message(value: Any) -> bool:
    """Whether it is a message of a conversation."""
    return isinstance(value, Mapping) and "role" in value


def _records(X: Any) -> list[dict[str, Any]] | None:
    """Rows of what has columns; None for everything else."""
    if isinstance(X, Mapping):
        names = list(X)
        if any(hasattr(value, "column_names") for value in X.values()):
            raise ValueError(f"X has several sets of texts, {names}: pass one of them, such as X[{names[0]!r}].")
    elif isinstance(getattr(X, "column_names", None), list):
        names = X.column_names
    elif hasattr(X, "columns"):
        names = list(X.columns)
    else:
        return None
    _check_columns("X", names)
    names = [name for name in (*COLUMNS, "attention_mask", "labels", "token_type_ids") if name in names]
    columns = [_column(name, X[name]) for name in names]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"X has columns of different lengths: {dict(zip(names, map(len, columns), strict=True))}.")
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _column(name: str, values: Any) -> list[Any]:
    found: Any = values.tolist() if hasattr(values, "tolist") else values
    found = found if isinstance(found, str) else list(found)
    single = isinstance(found, str) or (name == "input_ids" and any(isinstance(value, Integral) for value in found))
    if single or (name == "messages" and all(is_message(value) for value in found)):
        raise ValueError(f"X holds a single text in {name!r}; pass a list of texts or of sequences of token ids.")
    return list(found)


def _check_columns(what: str, names: Any) -> None:
    if not any(name in names for name in COLUMNS):
        raise ValueError(
            f"{what} has the columns {[str(name) for name in names]}, of which none is {' or '.join(COLUMNS)}: pass "
            f"the column of texts alone, such as X[{next(iter(names), 'text')!r}]."
        )


def _row(number: int, item: Any, rectangle: bool) -> Row:
    if isinstance(item, str):
        return Row(number, item)
    if isinstance(item, Mapping):
        _check_columns(f"X[{number}]", list(item))
        if item.get("input_ids") is None:
            return _row(number, item["messages" if "messages" in item else "text"], rectangle)
        return _encoded(number, item)
    if isinstance(item, tuple) and len(item) == 2 and all(isinstance(part, str) for part in item):
        return Row(number, item)
    values = item.tolist() if hasattr(item, "tolist") else item
    if isinstance(values, (list, tuple)) and values and all(is_message(value) for value in values):
        return Row(number, [dict(value) for value in values])
    return Row(number, _integers(number, values), is_padded=rectangle)


def _encoded(number: int, item: Mapping[str, Any]) -> Row:
    """A row of a tokenizer's output, without its padding; labels that are not of tokens are no part of it."""
    ids = _integers(number, item["input_ids"])
    parts = {name: _integers(number, item[name]) for name in ("attention_mask", "labels", "token_type_ids")
             if name in item and np.ndim(item[name]) > 0}  # fmt: skip
    for name, values in parts.items():
        if len(values) != len(ids):
            raise ValueError(f"X[{number}] has {len(ids)} input_ids, but {len(values)} {name}.")
    mask = parts.pop("attention_mask", None)
    kept = slice(None)
    if mask is not None:
        places = [place for place, shown in enumerate(mask) if shown]
        if not places:
            raise ValueError(f"X[{number}] is empty: every text needs at least one token.")
        kept = slice(places[0], places[-1] + 1)
        if not all(mask[kept]):
            raise ValueError(f"X[{number}] has an attention_mask with gaps: only padding at the ends can be left out.")
    shown = {name: values[kept] for name, values in parts.items()}
    return Row(number, ids[kept], shown.get("labels"), shown.get("token_type_ids"), is_padded=mask is None)


def _integers(number: int, values: Any) -> list[int]:
    values = values.tolist() if hasattr(values, "tolist") else values
    if isinstance(values, (list, tuple, range)):
        if values and all(isinstance(value, str) for value in values):
            raise ValueError(
                f"X[{number}] is a {type(values).__name__} of {len(values)} texts: a pair of texts is a tuple of two, "
                "and anything else is one string, or token ids as integers."
            )
        if all(isinstance(value, Integral) and not isinstance(value, bool) for value in values):
            return [int(value) for value in values]
    raise ValueError(f"X[{number}] is neither a text nor a sequence of token ids: {values!r:.80}.")
