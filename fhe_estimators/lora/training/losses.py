"""Losses of batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from .examples import IGNORED_LABEL, Batch
from .head_loss import language_loss


def batch_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean loss of a batch: cross entropy of next tokens, or of classes."""
    return batch_outputs(model, batch)[0]


def batch_outputs(model: nn.Module, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`batch_loss`, and the logits, which exist for classification only."""
    assert batch.labels is not None
    device = next(model.parameters()).device
    labels = batch.labels.to(device)
    if labels.ndim == 1:
        tell_padding(model, batch)
    else:
        loss = language_loss(model, batch)
        if loss is not None:
            return loss, None
    if batch.weights is None:
        output = model(**batch.inputs(device), labels=labels, use_cache=False)
        return output.loss, output.logits
    logits = model(**batch.inputs(device), use_cache=False).logits
    losses = _losses(logits.float(), labels)
    return (losses * batch.weights.to(device)).sum() / batch.n_predictions, logits


def tell_padding(model: nn.Module, batch: Batch) -> None:
    """Let a classifier know which token a batch is padded with."""
    config: Any = model.config
    for told in (config, config.get_text_config()):
        told.pad_token_id = batch.pad


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The sum of the losses of each example's predictions."""
    if labels.ndim == 1:
        return cross_entropy(logits, labels, reduction="none")
    predicted, targets = logits[:, :-1].transpose(1, 2), labels[:, 1:]
    return cross_entropy(predicted, targets, reduction="none", ignore_index=IGNORED_LABEL).sum(dim=1)
