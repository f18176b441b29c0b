"""Probabilities and losses of a fine-tuned model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .examples import Example, batches
from .losses import batch_loss, tell_padding


def probabilities(
    model: Any, examples: Sequence[Example], pad: int, batch_size: int, *, next_token: bool, device: str
) -> np.ndarray:
    """Of classes, or of the token after each example; shape (n_examples, n_classes or vocabulary)."""
    found = []
    with torch.no_grad():
        for batch in batches(examples, pad, batch_size, causal=False):
            if not next_token:
                tell_padding(model, batch)
            logits = model(**batch.inputs(device), use_cache=False).logits
            if next_token:
                logits = logits[torch.arange(len(logits)), batch.attention_mask.sum(dim=1) - 1]
            found.append(logits.softmax(dim=-1).cpu().numpy())
    return np.concatenate(found)


def mean_loss(model: Any, examples: Sequence[Example], pad: int, batch_size: int) -> float:
    """Mean loss of a token of examples, the first of each apart."""
    total, count = 0.0, 0.0
    with torch.no_grad():
        for batch in batches(examples, pad, batch_size, causal=True):
            if batch.n_predictions:
                total += float(batch_loss(model, batch)) * batch.n_predictions
                count += batch.n_predictions
    if not count:
        raise ValueError("X holds no text of two tokens or more: there is nothing to predict.")
    return total / count


def continuations(model: Any, prompts: Sequence[Example], *, device: str, **settings: Any) -> list[list[int]]:
    """Token ids after each prompt, greedily unless ``settings``, of transformers' ``generate``, say otherwise.

    With ``num_return_sequences``, so many for each prompt, one after the other.
    """
    found = []
    for example in prompts:
        prompt = torch.tensor([example.ids], device=device)
        with torch.no_grad():
            output = model.generate(
                input_ids=prompt, attention_mask=torch.ones_like(prompt), **{"do_sample": False, **settings}
            )
        sequences = getattr(output, "sequences", output)  # a dictionary with ``return_dict_in_generate``
        found += sequences[:, len(example) :].tolist()
    return found
