"""The loss of texts that are not trained on: when to stop, and which adapter was best."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from .examples import Example, batches
from .losses import batch_outputs


@dataclass(frozen=True)
class EvaluationPlan:
    """What to evaluate on, and when.

    Parameters
    ----------
    examples : list of Example
    labels : ndarray of int64 or None
        Classes, for classification.
    pad, batch_size : int
    every : int or None
        Optimizer steps between evaluations; None for the end of each epoch. The last step is always evaluated.
    patience : int or None
        Training stops after so many evaluations in a row that were not the best, and keeps the best adapter; None
        trains to the end, and keeps the last.
    """

    examples: Sequence[Example]
    labels: np.ndarray | None
    pad: int
    batch_size: int
    every: int | None = None
    patience: int | None = None

    def is_due(self, step: int, *, ends_epoch: bool, is_last: bool) -> bool:
        """Whether to evaluate after a step."""
        return is_last or (ends_epoch if self.every is None else (step + 1) % self.every == 0)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Mean loss of a prediction and, for classification, the accuracy."""
        start, training = time.perf_counter(), model.training
        total, count, correct = 0.0, 0.0, 0
        model.eval()
        try:
            with torch.no_grad():
                for batch in batches(
                    self.examples, self.pad, self.batch_size, causal=self.labels is None, labels=self.labels
                ):
                    if batch.n_predictions:
                        loss, logits = batch_outputs(model, batch)
                        total, count = total + float(loss) * batch.n_predictions, count + batch.n_predictions
                        if self.labels is not None and batch.labels is not None and logits is not None:
                            correct += int((logits.argmax(dim=-1).cpu() == batch.labels).sum())
        finally:
            model.train(training)
        metrics = {"eval_loss": total / count, "eval_seconds": time.perf_counter() - start}
        return metrics if self.labels is None else {**metrics, "eval_accuracy": correct / count}


def best_entry(history: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The step with the least loss on the evaluation set, the first of several; None before any."""
    evaluated = [entry for entry in history if np.isfinite(entry.get("eval_loss", np.nan))]
    return min(evaluated, key=lambda entry: entry["eval_loss"]) if evaluated else None


def has_stalled(history: Sequence[dict[str, Any]], patience: int | None) -> bool:
    """Whether the last ``patience`` evaluations were all worse than the best one, or equal to it."""
    if patience is None:
        return False
    best = best_entry(history)
    since = [entry for entry in history if "eval_loss" in entry and (best is None or entry["step"] > best["step"])]
    return len(since) >= patience
