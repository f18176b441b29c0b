"""The training loop: batches in a seeded order, AdamW on the adapters, costs by phase, checkpoints."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...exceptions import NonFiniteError
from ...utils import progress_bar
from ..costs import Costs
from .checkpoints import load_checkpoint, save_checkpoint
from .examples import Batch, Example, batches

_MAX_GRADIENT_NORM = 1.0
#: Training stops with an error after so many steps in a row whose loss or gradients were not finite.
_MAX_SKIPPED_IN_A_ROW = 5


@dataclass
class TrainingPlan:
    """What to train on and how long.

    Parameters
    ----------
    examples : list of Example
    labels : ndarray of int64 or None
        Classes, for classification.
    pad : int
    epochs, batch_size, gradient_accumulation_steps : int
    max_steps : int or None
        Optimizer steps at most.
    learning_rate : float
    seed : int
        The seed of the order of the data, and of dropout.
    """

    examples: Sequence[Example]
    labels: np.ndarray | None
    pad: int
    epochs: int
    batch_size: int
    gradient_accumulation_steps: int
    max_steps: int | None
    learning_rate: float
    seed: int

    def step_batches(self) -> list[tuple[int, np.ndarray]]:
        """Epoch and rows of every optimizer step."""
        rows_a_step = self.batch_size * self.gradient_accumulation_steps
        steps = []
        for epoch in range(self.epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
            steps += [(epoch, order[start : start + rows_a_step]) for start in range(0, len(order), rows_a_step)]
        return steps[: self.max_steps]

    def batches(self, rows: np.ndarray) -> list[Batch]:
        """Batches of one step."""
        causal = self.labels is None
        return list(batches(self.examples, self.pad, self.batch_size, causal=causal, labels=self.labels, order=rows))


def train(
    model: nn.Module,
    plan: TrainingPlan,
    costs: Costs,
    *,
    checkpoint_dir: Path | None = None,
    checkpoint_steps: int = 50,
    verbose: int = 0,
) -> list[dict[str, Any]]:
    """Train the parameters that require gradients; one entry of the history a step.

    With ``checkpoint_dir``, a state is written every ``checkpoint_steps`` steps and at the end, and training goes on
    from the last one found there, with the same result as without interruption.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.learning_rate, weight_decay=0.0)
    steps = plan.step_batches()
    history = load_checkpoint(checkpoint_dir, model, optimizer) if checkpoint_dir else []
    costs.take()
    bar = progress_bar(steps[len(history) :], description="fit", verbose=verbose)
    model.train()
    for step, (epoch, rows) in enumerate(bar, start=len(history)):
        torch.manual_seed(plan.seed + step)  # dropout, so that resumed training repeats it
        start = time.perf_counter()
        entry = _step(model, plan.batches(rows), parameters, optimizer)
        history.append({"step": step, "epoch": epoch, **entry, **_phases(costs, time.perf_counter() - start)})
        bar.set_postfix(loss=f"{entry['loss']:.3f}", MB=f"{_megabytes(history[-1]):.0f}")
        _stop_if_diverged(history)
        if checkpoint_dir and (step + 1 == len(steps) or (step + 1) % checkpoint_steps == 0):
            save_checkpoint(checkpoint_dir, model, optimizer, history)
    return history


def _step(
    model: nn.Module, step_batches: list[Batch], parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer
) -> dict[str, Any]:
    """One optimizer step over accumulated batches; skipped if anything is not finite."""
    optimizer.zero_grad(set_to_none=True)
    total = sum(batch.n_predictions for batch in step_batches)
    loss_sum, problem = 0.0, None
    try:
        for batch in step_batches:
            share = batch.n_predictions / total
            loss = batch_loss(model, batch) * share
            if not torch.isfinite(loss):
                raise NonFiniteError("The loss is not finite.")
            loss.backward()
            loss_sum += float(loss.detach())
        norm = nn.utils.clip_grad_norm_(parameters, _MAX_GRADIENT_NORM, error_if_nonfinite=False)
        if not torch.isfinite(norm):
            raise NonFiniteError("The gradients are not finite.")
        optimizer.step()
    except NonFiniteError as error:
        problem = str(error)
        optimizer.zero_grad(set_to_none=True)
    n_tokens = sum(int(batch.attention_mask.sum()) for batch in step_batches)
    return {"loss": loss_sum if problem is None else float("nan"), "n_tokens": n_tokens, "skipped": problem}


def batch_loss(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean loss of a batch: cross entropy of next tokens, or of classes."""
    device = next(model.parameters()).device
    assert batch.labels is not None
    return model(**batch.inputs(device), labels=batch.labels.to(device), use_cache=False).loss


def _phases(costs: Costs, seconds: float) -> dict[str, float]:
    taken = costs.take()
    elsewhere = sum(taken[f"{phase}_seconds"] for phase in ("client_crypto", "worker", "transfer"))
    return {"seconds": seconds, "client_model_seconds": max(0.0, seconds - elsewhere), **taken}


def _megabytes(entry: dict[str, Any]) -> float:
    return (entry["upload_bytes"] + entry["download_bytes"]) / 1e6


def _stop_if_diverged(history: list[dict[str, Any]]) -> None:
    last = history[-_MAX_SKIPPED_IN_A_ROW:]
    if history[-1]["skipped"]:
        count = sum(1 for entry in history if entry["skipped"])
        warnings.warn(
            f"Step {history[-1]['step']} was skipped ({count} so far): {history[-1]['skipped']}",
            RuntimeWarning,
            stacklevel=3,
        )
    if len(last) == _MAX_SKIPPED_IN_A_ROW and all(entry["skipped"] for entry in last):
        raise NonFiniteError(
            f"{_MAX_SKIPPED_IN_A_ROW} steps in a row were not finite: lower learning_rate. {last[-1]['skipped']}"
        )
