"""Probabilities and losses of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .loop import batch_loss
from .text import batches, n_predictions


def probabilities(
    model: Any, sequences: Sequence[list[int]], pad: int, batch_size: int, *, next_token: bool, device: str
) -> np.ndarray:
    """Of classes, or of the token after each sequence; shape (n_sequences, n_classes or vocabulary)."""
    found = []
    with torch.no_grad():
        for batch in batches(sequences, pad, batch_size, causal=False):
            mask = batch.attention_mask.to(device)
            logits = model(input_ids=batch.input_ids.to(device), attention_mask=mask, use_cache=False).logits
            if next_token:
                logits = logits[torch.arange(len(logits)), mask.sum(dim=1) - 1]
            found.append(logits.softmax(dim=-1).cpu().numpy())
    return np.concatenate(found)


def mean_loss(model: Any, sequences: Sequence[list[int]], pad: int, batch_size: int) -> float:
    """Mean loss of a token of sequences, the first of each apart."""
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in batches(sequences, pad, batch_size, causal=True):
            predictions = n_predictions(batch)
            if predictions:
                total += float(batch_loss(model, batch)) * predictions
                count += predictions
    if not count:
        raise ValueError("X holds no text of two tokens or more: there is nothing to predict.")
    return total / count


def continuations(model: Any, prompts: Sequence[list[int]], *, device: str, **settings: Any) -> list[list[int]]:
    """Token ids after each prompt, greedily unless ``settings``, of transformers' ``generate``, say otherwise."""
    found = []
    for ids in prompts:
        prompt = torch.tensor([ids], device=device)
        with torch.no_grad():
            output = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), **{"do_sample": False, **settings}
            )
        found.append(output[0, len(ids) :].tolist())
    return found
