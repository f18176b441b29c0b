"""From texts or token ids to padded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Batch:
    """Sequences padded on the right to the longest.

    Parameters
    ----------
    input_ids, attention_mask : tensor of int64, shape (n_sequences, length)
    labels : tensor of int64, of the same shape for language models (padding is ignored), (n_sequences,) for
        classification, or None
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor | None


def n_predictions(batch: Batch) -> int:
    """Predictions in a batch, of which its loss is the mean."""
    assert batch.labels is not None
    return len(batch.labels) if batch.labels.ndim == 1 else int((batch.labels[:, 1:] != IGNORED_LABEL).sum())


def tokenize(X: Any, tokenizer: Any, vocabulary_size: int) -> list[list[int]]:
    """Token ids of each text; sequences of ids are checked and passed through.

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
    return [_tokenize_one(number, item, tokenizer, vocabulary_size) for number, item in enumerate(items)]


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


def pieces(sequences: Sequence[list[int]], max_length: int) -> list[list[int]]:
    """Sequences cut into parts of at most ``max_length`` tokens, so that nothing of a long text is lost."""
    return [ids[start : start + max_length] for ids in sequences for start in range(0, len(ids), max_length)]


def predictable_pieces(sequences: Sequence[list[int]], max_length: int) -> list[list[int]]:
    """`pieces` in which there is a next token to predict; a ValueError if there are none."""
    found = [piece for piece in pieces(sequences, max_length) if len(piece) > 1]
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


def collate(sequences: Sequence[list[int]], pad: int, labels: np.ndarray | None = None, *, causal: bool) -> Batch:
    """Pad sequences into a batch; with ``causal``, the labels are the sequences themselves."""
    length = max(map(len, sequences))
    input_ids = torch.full((len(sequences), length), pad, dtype=torch.long)
    mask = torch.zeros_like(input_ids)
    for row, ids in enumerate(sequences):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        mask[row, : len(ids)] = 1
    if causal:
        return Batch(input_ids, mask, input_ids.masked_fill(mask == 0, IGNORED_LABEL))
    return Batch(input_ids, mask, None if labels is None else torch.from_numpy(labels))


def batches(
    sequences: Sequence[list[int]],
    pad: int,
    batch_size: int,
    *,
    causal: bool,
    labels: np.ndarray | None = None,
    order: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Batches of sequences, in an order."""
    order = np.arange(len(sequences)) if order is None else order
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield collate([sequences[i] for i in chosen], pad, None if labels is None else labels[chosen], causal=causal)
