"""The optimizer and its learning rates."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import get_scheduler
from transformers.trainer_utils import SchedulerType

_PLATEAU = "reduce_lr_on_plateau"
#: Schedules by the names of transformers; "greedy" watches every step's loss, which is that of other texts each time.
SCHEDULES = tuple(str(kind.value) for kind in SchedulerType if kind.value != "greedy")


@dataclass(frozen=True)
class OptimizationPlan:
    """How parameters move.

    Parameters
    ----------
    learning_rate, weight_decay : float
        Of AdamW.
    max_grad_norm : float or None
        Longer gradients are shortened to this; None leaves them.
    lr_scheduler_type : str
        One of `SCHEDULES`.
    warmup_steps : int or float
        Steps of warm-up; below 1, the share of all steps.
    lr_scheduler_kwargs : mapping or None
        More of the schedule.
    """

    learning_rate: float
    weight_decay: float = 0.0
    max_grad_norm: float | None = 1.0
    lr_scheduler_type: str = "constant"
    warmup_steps: float = 0
    lr_scheduler_kwargs: Mapping[str, Any] | None = None

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)

    def schedule(self, optimizer: torch.optim.Optimizer, n_steps: int) -> Schedule:
        """Learning rates for ``n_steps`` steps."""
        warmup = math.ceil(self.warmup_steps * n_steps) if self.warmup_steps < 1 else int(self.warmup_steps)
        name = self.lr_scheduler_type
        if name == "constant" and warmup:
            name = "constant_with_warmup"
        options = dict(self.lr_scheduler_kwargs or {})
        try:
            if options and name.startswith("constant"):
                raise TypeError(f"{name!r} takes none")
            scheduler = get_scheduler(name, optimizer, warmup, n_steps, options)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"lr_scheduler_kwargs={self.lr_scheduler_kwargs!r} do not fit lr_scheduler_type={name!r}: {error}."
            ) from error
        return Schedule(scheduler, needs_metric=name == _PLATEAU)


class Schedule:
    """A learning rate for each step; with ``needs_metric``, it follows the loss of the evaluation set."""

    def __init__(self, scheduler: Any, *, needs_metric: bool):
        self.scheduler = scheduler
        self.needs_metric = needs_metric

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return float(self.scheduler.optimizer.param_groups[0]["lr"])

    def advance(self, entry: Mapping[str, Any]) -> None:
        """After a step, by its entry of the history; a step that was skipped counts."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected call of `lr_scheduler.step")
            if not self.needs_metric:
                self.scheduler.step()
            elif "eval_loss" in entry:
                self.scheduler.step(entry["eval_loss"])

    def replay(self, history: Iterable[Mapping[str, Any]]) -> None:
        """The rates of steps that were taken earlier: a schedule follows from the history."""
        for entry in history:
            self.advance(entry)
