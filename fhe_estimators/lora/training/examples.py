"""Examples to train on, and padded batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

IGNORED_LABEL = -100


@dataclass(frozen=True)
class Example:
    """A text, as the model sees it.

    Parameters
    ----------
    ids : list of int
        Its tokens.
    labels : list of int or None
        The token to predict at each place, and -100 where the loss is not to count; None for the tokens themselves.
    token_types : list of int or None
        Which text of a pair a token is of, for models that are told.
    """

    ids: list[int]
    labels: list[int] | None = None
    token_types: list[int] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def cut(self, kept: slice) -> Example:
        """A part of it."""
        labels = None if self.labels is None else self.labels[kept]
        token_types = None if self.token_types is None else self.token_types[kept]
        return replace(self, ids=self.ids[kept], labels=labels, token_types=token_types)

    @property
    def n_predictions(self) -> int:
        """Tokens that are predicted from those before them."""
        labels = self.ids if self.labels is None else self.labels
        return sum(1 for label in labels[1:] if label != IGNORED_LABEL)


def pieces(examples: Sequence[Example], max_length: int) -> list[Example]:
    """Examples cut into parts of at most ``max_length`` tokens, so that nothing of a long text is lost.

    A last part of one token alone begins with the token before it, from which it is predicted.
    """
    return [
        example.cut(slice(start - (start > 0 and start + 1 == len(example)), start + max_length))
        for example in examples
        for start in range(0, len(example), max_length)
    ]


def predictable_pieces(examples: Sequence[Example], max_length: int) -> list[Example]:
    """`pieces` in which there is a next token to predict; a ValueError if there are none."""
    found = [piece for piece in pieces(examples, max_length) if piece.n_predictions]
    if not found:
        raise ValueError("X holds no text of two tokens or more: there is nothing to predict.")
    return found


@dataclass(frozen=True)
class Batch:
    """Examples padded on the right to the longest.

    Parameters
    ----------
    input_ids, attention_mask : tensor of int64, shape (n_examples, length)
    labels : tensor of int64, of the same shape for language models (padding is ignored), (n_examples,) for
        classification, or None
    token_types : tensor of int64, shape (n_examples, length), or None
    weights : tensor of float32, shape (n_examples,), or None
        How much each example counts; None for all the same.
    pad : int
        The token of the padding, with which no example ends.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor
    labels: torch.Tensor | None = None
    token_types: torch.Tensor | None = None
    weights: torch.Tensor | None = None
    pad: int = 0

    def inputs(self, device: torch.device | str) -> dict[str, torch.Tensor]:
        """What the model is given, without labels."""
        found = {"input_ids": self.input_ids, "attention_mask": self.attention_mask}
        if self.token_types is not None:
            found["token_type_ids"] = self.token_types
        return {name: tensor.to(device) for name, tensor in found.items()}

    @property
    def n_predictions(self) -> float:
        """Predictions, each counted by its weight: the loss is their mean."""
        assert self.labels is not None
        counts = (self.labels[:, 1:] != IGNORED_LABEL).sum(dim=1) if self.labels.ndim == 2 else None
        if self.weights is None:
            return len(self.labels) if counts is None else int(counts.sum())
        return float(self.weights.sum() if counts is None else (self.weights * counts).sum())


def collate(
    examples: Sequence[Example],
    pad: int,
    labels: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    *,
    causal: bool,
) -> Batch:
    """Pad examples into a batch; with ``causal``, the labels are those of tokens."""
    length = max(map(len, examples))
    if not causal:
        pad = _pad_for(examples, pad)

    def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
        return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows], dtype=torch.long)

    types: torch.Tensor | None = None
    targets: torch.Tensor | None = None
    if any(example.token_types is not None for example in examples):
        types = padded([example.token_types or [0] * len(example) for example in examples], 0)
    if causal:
        targets = padded([e.ids if e.labels is None else e.labels for e in examples], IGNORED_LABEL)
    elif labels is not None:
        targets = torch.from_numpy(labels)
    return Batch(
        padded([example.ids for example in examples], pad),
        padded([[1] * len(example) for example in examples], 0),
        targets,
        types,
        None if weights is None else torch.from_numpy(weights).float(),
        pad,
    )


def _pad_for(examples: Sequence[Example], pad: int) -> int:
    """The token for padding, or another one if a text ends with it.

    Classifiers take the last token that is no padding for the last of the text, whatever the attention mask says.
    """
    last = {example.ids[-1] for example in examples}
    return pad if pad not in last else next(token for token in range(len(last) + 1) if token not in last)


def batches(
    examples: Sequence[Example],
    pad: int,
    batch_size: int,
    *,
    causal: bool,
    labels: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    order: np.ndarray | None = None,
) -> Iterator[Batch]:
    """Batches of examples, in an order."""
    order = np.arange(len(examples)) if order is None else order
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        yield collate(
            [examples[i] for i in chosen],
            pad,
            None if labels is None else labels[chosen],
            None if weights is None else weights[chosen],
            causal=causal,
        )
