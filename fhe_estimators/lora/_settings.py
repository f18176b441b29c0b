"""Checks of `HELoRAFineTuner`'s parameters."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from ..backends.lwe.client.verification import check_verify_bits
from ..exceptions import NotCompiledError
from .model.loading import TASKS
from .training.optimization import SCHEDULES

_LEAST = {
    "r": 1,
    "epochs": 1,
    "batch_size": 1,
    "max_length": 2,
    "gradient_accumulation_steps": 1,
    "checkpoint_steps": 1,
    "max_steps": 1,
    "early_stopping": 1,
    "eval_steps": 1,
    "memory_budget_bytes": 0,
}
_MAY_BE_NONE = ("max_steps", "early_stopping", "eval_steps", "memory_budget_bytes")


def check_settings(settings: Any) -> None:
    """Raise a ValueError that names the parameter, if one is out of range."""
    if settings.task not in TASKS:
        raise ValueError(f"task={settings.task!r} is unknown: use one of {TASKS}.")
    check_verify_bits(settings.verify_bits)
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if name in _MAY_BE_NONE and value is None:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
    for name in ("learning_rate", "lora_alpha"):
        value = getattr(settings, name)
        if not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise ValueError(f"{name}={value!r} must be a positive number.")
    _check_optimization(settings)
    dropout = settings.lora_dropout
    if not isinstance(dropout, Real) or not 0 <= float(dropout) < 1:
        raise ValueError(f"lora_dropout={dropout!r} must be from 0 to less than 1.")


_COMPILED = (
    "model",
    "tokenizer",
    "task",
    "weight_quantizer",
    "backend",
    "device",
    "workers",
    "verify",
    "verify_bits",
    "memory_budget_bytes",
    "reset_head",
)


def compiled_settings(settings: Any) -> dict[str, Any]:
    """The parameters that `compile` reads; lists are copied, so that a change of theirs is seen."""
    values = {name: getattr(settings, name) for name in _COMPILED}
    return {name: list(value) if isinstance(value, list) else value for name, value in values.items()}


def changed_settings(settings: Any) -> list[str]:
    """Parameters that were changed since `compile`, which does not know of it."""
    then, now = settings._compiled_settings, compiled_settings(settings)
    return [name for name in _COMPILED if then[name] is not now[name] and not _equal(then[name], now[name])]


def refuse_changed(settings: Any) -> None:
    """A `NotCompiledError` that names the parameters that were changed since `compile`, if there are any."""
    changed = changed_settings(settings)
    if changed:
        raise NotCompiledError(f"{', '.join(changed)} changed since compile: call compile() or fit(X) again.")


def _equal(first: Any, second: Any) -> bool:
    return type(first) is type(second) and bool(first == second)


def _check_optimization(settings: Any) -> None:
    for name in ("weight_decay", "warmup_steps"):
        value = getattr(settings, name)
        if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= float(value) < math.inf:
            raise ValueError(f"{name}={value!r} must be a number of at least 0.")
    if float(settings.warmup_steps) > 1 and float(settings.warmup_steps) != int(settings.warmup_steps):
        raise ValueError(
            f"warmup_steps={settings.warmup_steps!r} must be an integer, or a share of all steps below 1, such as 0.1."
        )
    norm = settings.max_grad_norm
    if norm is not None and (not isinstance(norm, Real) or not 0 < float(norm) < math.inf):
        raise ValueError(f"max_grad_norm={norm!r} must be a positive number, or None not to shorten gradients.")
    if settings.lr_scheduler_type not in SCHEDULES:
        raise ValueError(f"lr_scheduler_type={settings.lr_scheduler_type!r} is unknown: use one of {SCHEDULES}.")
