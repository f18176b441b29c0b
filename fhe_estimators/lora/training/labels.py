"""Labels of texts, and of tokens."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class HeadClasses:
    """Labels, and the outputs of a head that are theirs.

    Parameters
    ----------
    labels : ndarray of shape (n_classes,)
        Sorted.
    outputs : ndarray of int64, shape (n_classes,)
        The output of each.
    """

    labels: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of_fresh_head(cls, labels: np.ndarray) -> HeadClasses:
        """A head that is made for the labels has them in their order."""
        return cls(labels, np.arange(len(labels)))

    @classmethod
    def of_names(cls, names: Sequence[str]) -> HeadClasses:
        """What a trained head calls its classes; numbers, if they have no names."""
        if all(re.fullmatch(_NAMELESS.format(number), name) for number, name in enumerate(names)):
            return cls(np.arange(len(names)), np.arange(len(names)))
        labels, outputs = np.unique(np.array(names), return_index=True)
        return cls(labels, outputs.astype(np.int64))

    @classmethod
    def of_trained_head(cls, labels: np.ndarray, names: Sequence[str]) -> HeadClasses:
        """The outputs of a trained head that labels are for: by the names of its classes, or by their numbers.

        Raises
        ------
        ValueError
            If labels are among them that the head has no output for.
        """
        found = _outputs_by_name(labels, names)
        if found is None and all(re.fullmatch(_NAMELESS.format(number), name) for number, name in enumerate(names)):
            found = _outputs_by_order(labels, names)
        if found is None:
            raise ValueError(
                f"The model's head has the classes {list(names)}, but y has {labels.tolist()}: pass reset_head=True to "
                "train a fresh head, or set model.config.id2label to the names of the head's classes."
            )
        values = np.array(list(found))
        order = np.argsort(values)
        return cls(values[order], np.array(list(found.values()), dtype=np.int64)[order])

    def encode(self, values: np.ndarray) -> np.ndarray:
        """The output of each label, all of them known."""
        return self.outputs[np.searchsorted(self.labels, values)]

    @property
    def in_order_of_outputs(self) -> np.ndarray:
        """The label of each output."""
        return self.labels[np.argsort(self.outputs)]


#: What transformers calls classes without names.
_NAMELESS = "LABEL_{}"


def _outputs_by_name(labels: np.ndarray, names: Sequence[str]) -> dict[Any, int] | None:
    """All labels of a head with their outputs: by name, or where labels are integers by number; None if one is not."""
    kind, present = labels.dtype.kind, {str(label): label for label in labels.tolist()}
    if len(set(names)) == len(names) and set(present) <= set(names):
        if kind not in "iu":
            named = {present.get(name, name): number for number, name in enumerate(names)}
            return named if kind in "UO" or len(present) == len(names) else None
        if all(re.fullmatch("-?[0-9]+", name) for name in names):
            return {int(name): number for number, name in enumerate(names)}
    if kind in "iufb" and set(labels.tolist()) <= set(range(len(names))):
        return None if kind == "b" and len(names) > 2 else {labels.dtype.type(n): n for n in range(len(names))}
    return None


def _outputs_by_order(labels: np.ndarray, names: Sequence[str]) -> dict[Any, int] | None:
    """Labels in their order, for a head whose classes have no names."""
    if len(labels) != len(names):
        return None
    warnings.warn(
        f"The model's head is kept, but its classes have no names ({names[0]}, ...): they are taken for the classes "
        f"of y in their order, {labels.tolist()}. Set model.config.id2label if that is not so, or reset_head=True to "
        "train a fresh head.",
        RuntimeWarning,
        stacklevel=5,
    )
    return {label: number for number, label in enumerate(labels.tolist())}


def encode_known_labels(y: Any, n_texts: int, classes: HeadClasses) -> np.ndarray:
    """The output of each text's class among those trained on, for the evaluation set."""
    if y is None:
        raise ValueError(f"eval_set needs a label for each of its {n_texts} texts: pass (X, y).")
    values = labels_of_texts(y, n_texts, "eval_set's y")
    unknown = sorted(set(values.tolist()) - set(classes.labels.tolist()), key=str)
    if unknown:
        raise ValueError(f"eval_set has labels {unknown}, which are not among the classes of y.")
    return classes.encode(values.astype(classes.labels.dtype))


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
