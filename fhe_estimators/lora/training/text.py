"""From texts or token ids, and labels, to examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .examples import Example, pieces


def tokenize(X: Any, tokenizer: Any, vocabulary_size: int) -> list[Example]:
    """An example of each text; sequences of ids are checked and passed through.

    Raises
    ------
    ValueError
        For empty texts, ids out of range, or texts without a tokenizer.
    """
    items = X.tolist() if hasattr(X, "tolist") else list(X) if not isinstance(X, str) else None
    if items is None:
        raise ValueError("X is a single text; pass a list of texts or of sequences of token ids.")
    if not items:
        raise ValueError("X is empty: at least one text is needed.")
    return [Example(_tokenize_one(number, item, tokenizer, vocabulary_size)) for number, item in enumerate(items)]


def _tokenize_one(number: int, item: Any, tokenizer: Any, vocabulary_size: int) -> list[int]:
    if isinstance(item, str):
        if tokenizer is None:
            raise ValueError("X holds texts, but there is no tokenizer: pass tokenizer=, or sequences of token ids.")
        ids = list(tokenizer(item)["input_ids"])
    else:
        try:
            ids = [int(token) for token in item]
        except (TypeError, ValueError) as error:
            raise ValueError(f"X[{number}] is neither a text nor a sequence of token ids: {item!r:.80}.") from error
    if not ids:
        raise ValueError(f"X[{number}] is empty: every text needs at least one token.")
    if min(ids) < 0 or max(ids) >= vocabulary_size:
        bad = next(token for token in ids if not 0 <= token < vocabulary_size)
        raise ValueError(f"X[{number}] has token id {bad}, but the model's vocabulary has {vocabulary_size} tokens.")
    return ids


def predictable_pieces(examples: Sequence[Example], max_length: int) -> list[Example]:
    """`pieces` in which there is a next token to predict; a ValueError if there are none."""
    found = [piece for piece in pieces(examples, max_length) if piece.n_predictions]
    if not found:
        raise ValueError("X holds no text of two tokens or more: there is nothing to predict.")
    return found


def encode_labels(y: Any, n_texts: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and the index of each text's class; a ValueError unless every text has one of at least two."""
    if y is None:
        raise ValueError("y is missing: task='sequence-classification' needs a label for every text.")
    y = np.asarray(y)
    if y.shape != (n_texts,):
        raise ValueError(f"y has shape {y.shape}, expected ({n_texts},): a label for every text.")
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError("y has one class only; classification needs at least two.")
    return classes, labels.astype(np.int64)


def encode_known_labels(y: Any, n_texts: int, classes: np.ndarray) -> np.ndarray:
    """The index of each text's class among those trained on, for the evaluation set."""
    y = np.asarray(y)
    if y.shape != (n_texts,):
        raise ValueError(f"eval_set needs a label for each of its {n_texts} texts: pass (X, y).")
    index = {label: number for number, label in enumerate(classes.tolist())}
    unknown = sorted(set(y.tolist()) - set(index))
    if unknown:
        raise ValueError(f"eval_set has labels {unknown}, which are not among the classes of y.")
    return np.array([index[label] for label in y.tolist()], dtype=np.int64)
