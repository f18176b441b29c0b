"""Callbacks with the signature of transformers' `TrainerCallback`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..model.quiet import quiet_libraries

if TYPE_CHECKING:
    from .loop import TrainingPlan


class Callbacks:
    """Tells callbacks of the progress of a training, and knows what they ask for.

    Parameters
    ----------
    callbacks : sequence of TrainerCallback
    plan : TrainingPlan
    checkpoint_steps : int
    output_dir : Path or None
    **objects
        What every call is given beside the state, such as ``model`` and ``optimizer``.
    """

    def __init__(
        self,
        callbacks: Sequence[TrainerCallback],
        plan: TrainingPlan,
        checkpoint_steps: int,
        output_dir: Path | None,
        **objects: Any,
    ):
        self._callbacks = list(callbacks)
        self.control = TrainerControl()
        self.state = TrainerState()
        self._objects = objects
        self._arguments = None
        if self._callbacks:
            with quiet_libraries():
                self._arguments = _training_arguments(_settings(plan, checkpoint_steps), output_dir)

    def call(self, event: str, **more: Any) -> None:
        """Call ``on_<event>`` of each."""
        for callback in self._callbacks:
            method = getattr(callback, f"on_{event}")
            found = method(self._arguments, self.state, self.control, **self._objects, **more)
            if found is not None:
                self.control = found


def _settings(plan: TrainingPlan, checkpoint_steps: int) -> dict[str, Any]:
    """What callbacks are told of the settings."""
    how, evaluation = plan.optimization, plan.evaluation
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": plan.batch_size,
        "gradient_accumulation_steps": plan.gradient_accumulation_steps,
        "num_train_epochs": plan.epochs,
        "max_steps": plan.max_steps or -1,
        "learning_rate": how.learning_rate,
        "weight_decay": how.weight_decay,
        "lr_scheduler_type": how.lr_scheduler_type,
        "logging_steps": 1,
        "seed": plan.seed,
        "save_steps": checkpoint_steps,
    }
    if evaluation is not None:
        # The best adapter is chosen by this library itself: callbacks are told so.
        every = (
            {"eval_strategy": "epoch", "save_strategy": "epoch"}
            if evaluation.every is None
            else {"eval_strategy": "steps", "eval_steps": evaluation.every, "save_steps": evaluation.every}
        )
        arguments |= {"metric_for_best_model": "eval_loss", "greater_is_better": False, **every}
        arguments["load_best_model_at_end"] = evaluation.patience is not None
    return arguments


def _training_arguments(arguments: dict[str, Any], output_dir: Path | None) -> TrainingArguments:
    """What callbacks read settings from; making them sets up accelerate for the whole process, which is undone."""
    kept = dict(PartialState._shared_state)
    try:
        return TrainingArguments(
            output_dir=str(output_dir or "."), use_cpu=True, report_to="none", disable_tqdm=True, **arguments
        )
    finally:
        PartialState._shared_state.clear()
        PartialState._shared_state.update(kept)


def check_callbacks(callbacks: Any) -> list[TrainerCallback]:
    """Callbacks as a list; classes are instantiated, as transformers does."""
    if callbacks is None:
        return []
    listed = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    made = [callback() if isinstance(callback, type) else callback for callback in listed]
    wrong = [type(callback).__name__ for callback in made if not isinstance(callback, TrainerCallback)]
    if wrong:
        raise TypeError(f"callbacks must hold transformers' TrainerCallback objects, got {wrong}.")
    return made
