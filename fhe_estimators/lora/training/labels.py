"""Labels of texts, and of tokens."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import column_or_1d

from .examples import IGNORED_LABEL, Example


def labels_of_texts(y: Any, n_texts: int, name: str = "y") -> np.ndarray:
    """A label for every text, shape (n_texts,); a column is made flat with scikit-learn's warning."""
    values = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = column_or_1d(y, warn=True)
    if values.shape != (n_texts,):
        raise ValueError(f"{name} has shape {values.shape}, expected ({n_texts},): a label for every text.")
    missing = [place for place, label in enumerate(values.tolist()) if label is None or label != label]
    if missing:
        raise ValueError(f"{name}[{missing[0]}] is missing (NaN or None): every text needs a label.")
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        raise ValueError(
            f"{name} holds continuous values, such as {values[values != np.floor(values)][0]}: "
            "task='sequence-classification' needs classes, and regression is not supported."
        )
    return values


def encode_labels(y: Any, n_texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and the index of each text's class; a ValueError unless every text has one of at least two."""
    if y is None:
        raise ValueError("y is missing: task='sequence-classification' needs a label for every text.")
    values = labels_of_texts(y, n_texts)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "many unique classes"
            kind = type_of_target(values)
        classes, labels = np.unique(values, return_inverse=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must hold labels of one kind, strings or integers: {error}") from error
    if kind not in ("binary", "multiclass"):
        raise ValueError(f"y holds {kind} values, expected a class for every text.")
    if len(classes) < 2:
        raise ValueError("y has one class only; classification needs at least two.")
    return classes, labels.astype(np.int64)


def encode_known_labels(y: Any, n_texts: int, classes: np.ndarray) -> np.ndarray:
    """The index of each text's class among those trained on, for the evaluation set."""
    if y is None:
        raise ValueError(f"eval_set needs a label for each of its {n_texts} texts: pass (X, y).")
    values = labels_of_texts(y, n_texts, "eval_set's y")
    index = {label: number for number, label in enumerate(classes.tolist())}
    unknown = sorted(set(values.tolist()) - set(index), key=str)
    if unknown:
        raise ValueError(f"eval_set has labels {unknown}, which are not among the classes of y.")
    return np.array([index[label] for label in values.tolist()], dtype=np.int64)


def with_token_labels(examples: Sequence[Example], y: Any, vocabulary_size: int) -> list[Example]:
    """Examples of a language model with labels of tokens; those that they have, if ``y`` is None.

    Raises
    ------
    ValueError
        If ``y`` is anything but a label for every token of every text: nothing else means anything here.
    """
    if y is None:
        return list(examples)
    what = "y for task='causal-lm' holds a label for every token (a token id, or -100 where nothing is to be learned)"
    rows = y.tolist() if hasattr(y, "tolist") else y
    if not isinstance(rows, (list, tuple)) or len(rows) != len(examples):
        raise ValueError(f"{what}, for each of the {len(examples)} texts: pass y=None, or such labels.")
    found = []
    for number, (example, row) in enumerate(zip(examples, rows, strict=True)):
        labels = row.tolist() if hasattr(row, "tolist") else row
        if not isinstance(labels, (list, tuple)) or not all(
            isinstance(label, (int, np.integer)) and not isinstance(label, bool) for label in labels
        ):
            raise ValueError(f"{what}, but y[{number}] is {row!r:.60}: pass y=None, or such labels.")
        if len(labels) != len(example):
            raise ValueError(f"{what}, but y[{number}] has {len(labels)} labels for {len(example)} tokens.")
        bad = [label for label in labels if not 0 <= label < vocabulary_size and label != IGNORED_LABEL]
        if bad:
            raise ValueError(f"{what}, but y[{number}] has label {bad[0]} of {vocabulary_size} tokens.")
        found.append(replace(example, labels=[int(label) for label in labels]))
    return found
