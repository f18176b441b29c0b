"""What a checkpoint is of: the data, the model and the settings that a training state belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .client.heads import fresh_parts, has_trained_head, head_parts
from .client.remote_linear import RemoteLinear
from .client.split_model import CompiledModel
from .client.start_adapter import StartAdapter
from .training.checkpoints import check_work, stored_work
from .training.examples import Example
from .training.loop import TrainingPlan

#: Settings that a state belongs to; those that are missing here may change when training goes on.
_SETTINGS = (
    "task",
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "lora_config",
    "weight_quantizer",
    "batch_size",
    "gradient_accumulation_steps",
    "max_length",
    "learning_rate",
    "weight_decay",
    "max_grad_norm",
    "lr_scheduler_type",
    "warmup_steps",
    "lr_scheduler_kwargs",
    "early_stopping",
    "eval_steps",
)
_LENGTHS = ("epochs", "max_steps")


def with_checkpoint(tuner: Any, plan: TrainingPlan, fhe: str) -> tuple[TrainingPlan, Path | None]:
    """The plan with what its states are of, and the folder that they are in; None without ``checkpoint_dir``.

    A clone, as searches and cross-validation make one for every candidate and fold, has a folder of its own inside.
    ``random_state=None`` takes up the order that the state there was begun with.

    Raises
    ------
    ValueError
        If the folder holds a state of other data, of another model or of other settings; it says of which.
    """
    if tuner.checkpoint_dir is None:
        return plan, None
    work = _work(tuner, plan, fhe)
    folder = Path(tuner.checkpoint_dir)
    if getattr(tuner, "_is_clone", False):
        lengths = {name: getattr(tuner, name) for name in _LENGTHS}
        order = {} if tuner.random_state is None else {"seed": plan.seed}
        folder /= _digest([_text({**work, **lengths, **order})])[:16]
    stored = stored_work(folder)
    seed = stored.get("random_state")
    if tuner.random_state is None and isinstance(seed, int):
        plan = replace(plan, seed=seed)
    plan = replace(plan, work={**work, "random_state": plan.seed})
    check_work(folder, plan.work)
    return plan, folder


def _work(tuner: Any, plan: TrainingPlan, fhe: str) -> dict[str, Any]:
    evaluation = plan.evaluation
    work = {
        "X": _digest(_examples(plan.examples)),
        "y": None if plan.labels is None else _digest([_text(tuner.classes_.tolist()), plan.labels.tobytes()]),
        "weights of texts (sample_weight, class_weight)": _array(plan.weights),
        "eval_set": None
        if evaluation is None
        else _digest([*_examples(evaluation.examples), _text(_array(evaluation.labels))]),
        "model": _model_digest(tuner.program_, tuner.task),
        "adapter that the model came with": _adapter_digest(tuner.program_.start),
        "head": _head_digest(tuner.program_.model),
        "fhe": fhe,
        "backend": repr(tuner.program_.parameters) if fhe != "disable" else None,
    }
    return work | {name: json.loads(_text(getattr(tuner, name))) for name in _SETTINGS}


def _model_digest(program: CompiledModel, task: str) -> str:
    """Of the frozen weights and of what the client keeps, but for what a classifier trains as a whole."""
    model: nn.Module = program.model if task == "causal-lm" else program.model.base_model
    remote = {path for path, module in model.named_modules() if isinstance(module, RemoteLinear)}
    parts: list[bytes | str] = [f"{layer.name} {layer.digest}" for layer in program.layers]
    for name, tensor in sorted(model.state_dict(keep_vars=True).items()):
        fresh = task != "causal-lm" and name.split(".")[0] in fresh_parts(program.model)
        if "lora_" not in name and name.rpartition(".")[0] not in remote and not fresh:
            parts += _tensors({name: tensor})
    return _digest(parts)


def _adapter_digest(start: StartAdapter | None) -> str | None:
    return None if start is None else _digest(_tensors(start.tensors))


def _head_digest(model: Any) -> str | None:
    """Of the head that the model came with; None for fresh ones."""
    if not has_trained_head(model):
        return None
    parts = {f"{part}.": getattr(model, part).state_dict() for part in head_parts(model)}
    return _digest(_tensors({prefix + name: value for prefix, part in parts.items() for name, value in part.items()}))


def _tensors(tensors: Mapping[str, torch.Tensor]) -> list[Any]:
    parts: list[Any] = []
    for name, tensor in sorted(tensors.items()):
        parts += [f"{name} {tuple(tensor.shape)}", tensor.detach().cpu().contiguous().view(torch.uint8).numpy()]
    return parts


def _examples(examples: Sequence[Example]) -> Iterable[str]:
    return (_text([example.ids, example.labels, example.token_types]) for example in examples)


def _array(values: Any) -> str | None:
    return None if values is None else _digest([values.tobytes()])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=_plain)


def _plain(value: Any) -> Any:
    """What JSON has no word for: NumPy's numbers, sets, PEFT's and other objects by their settings."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "to_dict"):
        return value.to_dict()
    return sorted(value) if isinstance(value, (set, frozenset)) else repr(value)


def _digest(parts: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(memoryview(data).cast("B")).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()
