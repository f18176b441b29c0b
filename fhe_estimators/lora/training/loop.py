"""The training loop: batches in a seeded order, an optimizer on the adapters, costs by phase, checkpoints."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import TrainerCallback

from ...exceptions import NonFiniteError
from ...utils import progress_bar
from ..client.recomputation import recomputed_blocks
from ..costs import Costs
from ..randomness import Randomness, draws_when_training
from .callbacks import Callbacks
from .checkpoints import load_checkpoint, save_checkpoint, trained_parameters
from .evaluation import EvaluationPlan, best_entry, has_stalled
from .examples import Batch, Example, batches
from .losses import batch_loss
from .optimization import OptimizationPlan

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
    weights : ndarray of float or None
        How much each example counts.
    pad : int
    epochs, batch_size, gradient_accumulation_steps : int
    max_steps : int or None
        Optimizer steps at most.
    seed : int
        The seed of the order of the data, and of dropout.
    optimization : OptimizationPlan
    evaluation : EvaluationPlan or None
    work : mapping
        What states of the training are of: another training does not take them up.
    """

    examples: Sequence[Example]
    labels: np.ndarray | None
    pad: int
    epochs: int
    batch_size: int
    gradient_accumulation_steps: int
    max_steps: int | None
    seed: int
    optimization: OptimizationPlan
    weights: np.ndarray | None = None
    evaluation: EvaluationPlan | None = None
    work: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steps_an_epoch(self) -> int:
        """Optimizer steps of an epoch."""
        return -(-len(self.examples) // (self.batch_size * self.gradient_accumulation_steps))

    def step_batches(self) -> list[tuple[int, np.ndarray]]:
        """Epoch and rows of every optimizer step."""
        rows_a_step = self.batch_size * self.gradient_accumulation_steps
        steps = []
        for epoch in range(self.epochs):
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))
            steps += [(epoch, order[start : start + rows_a_step]) for start in range(0, len(order), rows_a_step)]
        return steps[: self.max_steps]

    def batches(self, rows: np.ndarray) -> list[Batch]:
        """Batches of one step, without those in which nothing counts."""
        found = batches(
            self.examples,
            self.pad,
            self.batch_size,
            causal=self.labels is None,
            labels=self.labels,
            weights=self.weights,
            order=rows,
        )
        return [batch for batch in found if batch.n_predictions]


class Training:
    """Trains the parameters of a model that require gradients.

    With ``checkpoint_dir``, a state is written every ``checkpoint_steps`` steps and at the end, and training goes on
    from the last one found there, with the same result as without interruption.

    Attributes
    ----------
    history : list of dict
        An entry a step.
    """

    def __init__(
        self,
        model: nn.Module,
        plan: TrainingPlan,
        costs: Costs,
        randomness: Randomness,
        *,
        checkpoint_dir: Path | None = None,
        checkpoint_steps: int = 50,
        callbacks: Sequence[TrainerCallback] = (),
        tokenizer: Any = None,
        verbose: int = 0,
    ):
        self.model = model
        self.plan = plan
        self.costs = costs
        self._randomness = randomness
        randomness.redirects = draws_when_training(model)
        self.checkpoint_dir = checkpoint_dir
        self.checkpoint_steps = checkpoint_steps
        self.verbose = verbose
        self.history: list[dict[str, Any]] = []
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._steps = plan.step_batches()
        self._optimizer = plan.optimization.optimizer(self._parameters)
        self._schedule = plan.optimization.schedule(self._optimizer, len(self._steps))
        self._best: dict[str, torch.Tensor] = {}
        self._is_whole = True
        self._callbacks = Callbacks(
            callbacks,
            plan,
            checkpoint_steps,
            checkpoint_dir,
            model=model,
            processing_class=tokenizer,
            optimizer=self._optimizer,
            lr_scheduler=self._schedule.scheduler,
            train_dataloader=None,
            eval_dataloader=None,
        )

    def run(self) -> list[dict[str, Any]]:
        """Train to the end and return the history.

        A `KeyboardInterrupt` passes through, after a checkpoint: what was trained is in the model.
        """
        self._resume()
        self.costs.take()
        try:
            self._train()
        except KeyboardInterrupt:
            if self.history and self._is_whole:
                self._save()
            self._restore_best()
            raise
        if all(entry["skipped"] for entry in self.history):
            raise NonFiniteError(f"All steps were skipped: nothing was trained. {self.history[-1]['skipped']}")
        self._restore_best()
        return self.history

    def _resume(self) -> None:
        if self.checkpoint_dir is not None:
            self.history, self._best = load_checkpoint(self.checkpoint_dir, self.model, self._optimizer)
            if len(self.history) > len(self._steps):
                raise ValueError(
                    f"checkpoint_dir={str(self.checkpoint_dir)!r} holds {len(self.history)} steps, but epochs and "
                    f"max_steps ask for {len(self._steps)}: ask for more, or use another checkpoint_dir."
                )
            self._schedule.replay(self.history)

    def _train(self) -> None:
        callbacks, bar = self._callbacks, progress_bar(self._steps, description="fit", verbose=self.verbose)
        self.model.train()
        self._tell("init_end")
        self._tell("train_begin")
        stopped_epoch, done = _stopped_epoch(self.history), self.history[-1]["step"] if self.history else -1
        for step, (epoch, rows) in enumerate(bar):
            stops = callbacks.control.should_training_stop or has_stalled(self.history, self._patience)
            if step <= done or stops or epoch == stopped_epoch:
                continue
            callbacks.control._new_step()
            if step % self.plan.steps_an_epoch == 0 or not self.history:
                self._tell("epoch_begin")
            entry = self._step(step, epoch, rows)
            bar.set_postfix(loss=f"{entry['loss']:.3f}", MB=f"{_megabytes(entry):.0f}")
            if entry.get("epoch_stopped"):
                stopped_epoch = epoch
        self._tell("train_end")

    def _step(self, step: int, epoch: int, rows: np.ndarray) -> dict[str, Any]:
        self._randomness.seed(self.plan.seed + step)  # dropout, so that resumed training repeats it
        start = time.perf_counter()
        self._tell("step_begin")
        rate = self._schedule.rate
        found = self._optimize(self.plan.batches(rows))
        entry = {"step": step, "epoch": epoch, "learning_rate": rate, **found}
        entry |= _phases(self.costs, time.perf_counter() - start)
        self.history.append(entry)
        self._tell("step_end")
        _stop_if_diverged(self.history)
        self._log(entry)
        ends_epoch = (step + 1) % self.plan.steps_an_epoch == 0
        if not ends_epoch and self._callbacks.control.should_epoch_stop:
            ends_epoch = entry["epoch_stopped"] = True
        self._callbacks.control._new_epoch()
        is_last = step + 1 == len(self._steps) or (ends_epoch and epoch == self._steps[-1][0])
        self._evaluate(entry, ends_epoch=ends_epoch, is_last=is_last)
        self._schedule.advance(entry)
        self._is_whole = True
        if ends_epoch:
            self._tell("epoch_end")
        if is_last or self._is_save_due(step):
            self._save()
            self._tell("save")
        return entry

    def _is_save_due(self, step: int) -> bool:
        if (step + 1) % self.checkpoint_steps == 0:
            return True
        control = self._callbacks.control
        return control.should_save or control.should_training_stop or has_stalled(self.history, self._patience)

    def _optimize(self, step_batches: list[Batch]) -> dict[str, Any]:
        """One optimizer step over accumulated batches; skipped if anything is not finite."""
        optimizer, total = self._optimizer, sum(batch.n_predictions for batch in step_batches)
        optimizer.zero_grad(set_to_none=True)
        loss_sum, norm, problem = 0.0, float("nan"), None
        try:
            if not step_batches:
                raise NonFiniteError("Nothing counts in it: all weights are 0.")
            for number, batch in enumerate(step_batches):
                with recomputed_blocks(self.model):
                    loss = batch_loss(self.model, batch) * (batch.n_predictions / total)
                if not torch.isfinite(loss):
                    raise NonFiniteError("The loss is not finite.")
                loss.backward()
                loss_sum += float(loss.detach())
                if number + 1 < len(step_batches):
                    self._tell("substep_end")
            longest = self.plan.optimization.max_grad_norm
            found = nn.utils.clip_grad_norm_(self._parameters, float("inf") if longest is None else longest)
            norm = float(found)
            if not np.isfinite(norm):
                raise NonFiniteError("The gradients are not finite.")
            self._tell("pre_optimizer_step")
            self._is_whole = False  # until the step is in the history, evaluated
            optimizer.step()
            self._tell("optimizer_step")
        except NonFiniteError as error:
            problem = str(error)
        optimizer.zero_grad(set_to_none=True)
        n_tokens = sum(int(batch.attention_mask.sum()) for batch in step_batches)
        loss_value = loss_sum if problem is None else float("nan")
        return {"loss": loss_value, "gradient_norm": norm, "n_tokens": n_tokens, "skipped": problem}

    @property
    def _patience(self) -> int | None:
        return None if self.plan.evaluation is None else self.plan.evaluation.patience

    def _evaluate(self, entry: dict[str, Any], *, ends_epoch: bool, is_last: bool) -> None:
        """Add the loss of the evaluation set to an entry, if it is time; what that costs is in the step's costs."""
        plan, control = self.plan.evaluation, self._callbacks.control
        if plan is None:
            return
        stops = control.should_evaluate or control.should_training_stop
        if not (stops or plan.is_due(entry["step"], ends_epoch=ends_epoch, is_last=is_last)):
            return
        metrics = plan.evaluate(self.model)
        entry |= metrics
        for name, value in self.costs.take().items():
            entry[name] += value
        entry["seconds"] += metrics["eval_seconds"]
        if plan.patience is not None and best_entry(self.history) is entry:
            self._best = {name: value.detach().clone() for name, value in trained_parameters(self.model).items()}
        self._tell("evaluate", metrics=metrics)
        state, best = self._callbacks.state, best_entry(self.history)
        if best is not None:
            state.best_metric, state.best_global_step = best["eval_loss"], self.history.index(best) + 1

    def _restore_best(self) -> None:
        parameters = trained_parameters(self.model)
        with torch.no_grad():
            for name, value in self._best.items():
                parameters[name].copy_(value)

    def _save(self) -> None:
        if self.checkpoint_dir is not None:
            save_checkpoint(self.checkpoint_dir, self.model, self._optimizer, self.history, self._best, self.plan.work)

    def _log(self, entry: dict[str, Any]) -> None:
        logs = {"loss": entry["loss"], "grad_norm": entry["gradient_norm"], "learning_rate": entry["learning_rate"]}
        self._callbacks.state.log_history.append({**logs, "step": entry["step"] + 1})
        self._tell("log", logs=logs)

    def _tell(self, event: str, **more: Any) -> None:
        state, done = self._callbacks.state, len(self.history)
        state.global_step, state.max_steps = done, len(self._steps)
        state.epoch, state.num_train_epochs = done / self.plan.steps_an_epoch, self.plan.epochs
        self._callbacks.call(event, **more)


def _stopped_epoch(history: Sequence[Mapping[str, Any]]) -> int:
    """The epoch that a callback has stopped last; -1 if none was."""
    return max((entry["epoch"] for entry in history if entry.get("epoch_stopped")), default=-1)


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
