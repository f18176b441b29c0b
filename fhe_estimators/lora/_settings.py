"""Checks of `HELoRAFineTuner`'s parameters."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

from ..backends.lwe.client.verification import check_verify_bits
from .model.loading import TASKS

_LEAST = {
    "r": 1,
    "epochs": 1,
    "batch_size": 1,
    "max_length": 2,
    "gradient_accumulation_steps": 1,
    "checkpoint_steps": 1,
    "max_steps": 1,
}


def check_settings(settings: Any) -> None:
    """Raise a ValueError that names the parameter, if one is out of range."""
    if settings.task not in TASKS:
        raise ValueError(f"task={settings.task!r} is unknown: use one of {TASKS}.")
    check_verify_bits(settings.verify_bits)
    for name, least in _LEAST.items():
        value = getattr(settings, name)
        if name == "max_steps" and value is None:
            continue
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name}={value!r} must be an integer of at least {least}.")
    for name in ("learning_rate", "lora_alpha"):
        value = getattr(settings, name)
        if not isinstance(value, Real) or not 0 < float(value) < math.inf:
            raise ValueError(f"{name}={value!r} must be a positive number.")
    dropout = settings.lora_dropout
    if not isinstance(dropout, Real) or not 0 <= float(dropout) < 1:
        raise ValueError(f"lora_dropout={dropout!r} must be from 0 to less than 1.")
