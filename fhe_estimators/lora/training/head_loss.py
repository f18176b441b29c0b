"""The loss of a language model's head by blocks of tokens: the logits of a whole batch never exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from ..client.remote_linear import nothing_remote
from .examples import IGNORED_LABEL, Batch

#: Logits of a block take 16 MiB.
_BLOCK_LOGITS = 1 << 22
_PLAIN: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


def language_loss(model: nn.Module, batch: Batch) -> torch.Tensor | None:
    """Mean loss of a batch's next tokens, weighted; None if the model's head is not frozen, or does more than multiply.

    The loss and its gradient are equal to those from the logits of the batch, but for the order of sums.
    """
    head = _output_layer(model)
    if head is None or any(p.requires_grad for p in head.parameters()) or not _has_plain_head(model, head):
        return None
    assert batch.labels is not None
    device = next(model.parameters()).device
    with _passing_through(head):
        hidden = model(**batch.inputs(device), use_cache=False).logits
    labels = batch.labels[:, 1:].to(device)
    counted = labels != IGNORED_LABEL
    weights = torch.ones_like(labels, dtype=torch.float32)
    if batch.weights is not None:
        weights = weights * batch.weights.to(device)[:, None]
    losses = _HeadLoss.apply(hidden[:, :-1][counted], head, labels[counted], weights[counted])
    return losses / batch.n_predictions


class _HeadLoss(torch.autograd.Function):
    """Weighted sum of the losses of tokens. Going forward computes the gradient too, while a block's logits exist."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, head: nn.Module, labels: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        n_tokens = max(1, _BLOCK_LOGITS // int(head.weight.shape[0]))  # type: ignore[index]
        total, gradients = torch.zeros((), device=hidden.device), []
        needed = ctx.needs_input_grad[0]
        for rows, targets, weight in zip(*(x.split(n_tokens) for x in (hidden, labels, weights)), strict=True):
            with torch.set_grad_enabled(needed):
                block = rows.detach().requires_grad_(needed)
                losses = cross_entropy(head(block).float(), targets, reduction="none")
                loss = (losses * weight).sum()
            if needed:
                gradients += torch.autograd.grad(loss, block)
            total += loss.detach()
        if needed:
            ctx.save_for_backward(torch.cat(gradients) if gradients else torch.zeros_like(hidden))
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (of_hidden,) = ctx.saved_tensors
        return of_hidden * gradients[0], None, None, None


def _output_layer(model: nn.Module) -> nn.Module | None:
    find = getattr(model, "get_output_embeddings", None)
    head = find() if find is not None else None
    return head if isinstance(head, nn.Linear) else None


def _has_plain_head(model: nn.Module, head: nn.Module) -> bool:
    """Whether what the head returns are the logits: some models scale or bound them afterwards."""
    if model not in _PLAIN:
        device = next(model.parameters()).device
        returned: list[torch.Tensor] = []
        with torch.no_grad(), _passing_through(head, returned), nothing_remote(model), _evaluating(model):
            logits = model(input_ids=torch.zeros((1, 2), dtype=torch.long, device=device), use_cache=False).logits
        _PLAIN[model] = len(returned) == 1 and logits is returned[0]
    return _PLAIN[model]


@contextmanager
def _passing_through(head: nn.Module, returned: list[torch.Tensor] | None = None) -> Iterator[None]:
    """Have a model return what its head is given, in place of logits."""

    def forward(hidden: torch.Tensor) -> torch.Tensor:
        hidden = hidden[:]
        if returned is not None:
            returned.append(hidden)
        return hidden

    before = vars(head).get("forward")
    head.forward = forward
    try:
        yield
    finally:
        if before is None:
            del head.forward
        else:
            head.forward = before


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
