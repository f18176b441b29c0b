"""LoRA settings: those of `HELoRAFineTuner`, or a `LoraConfig` that needs no frozen weights."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import peft
from transformers import PreTrainedModel

from ...exceptions import UnsupportedModelError
from ..model.loading import SEQUENCE_CLASSIFICATION
from .heads import trained_parts
from .remote_linear import RemoteLinear

_TASK_TYPES = {"causal-lm": peft.TaskType.CAUSAL_LM, "sequence-classification": peft.TaskType.SEQ_CLS}
#: Parameters of the tuner that a ``lora_config`` takes the place of.
REPLACED = {"r": 8, "lora_alpha": 16, "lora_dropout": 0.0, "target_modules": "all-linear"}
#: Initializations that do not look at the frozen weights.
_INITIALIZATIONS = (True, False, "gaussian", "orthogonal")
#: What a config is called and where it comes from.
_BOOKKEEPING = {
    *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "fan_in_fan_out", "runtime_config"),
}
_SUPPORTED = {
    *_BOOKKEEPING,
    *("r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "use_rslora", "modules_to_save"),
    *("init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "lora_bias"),
    *("trainable_token_indices", "ensure_weight_tying", "target_parameters"),
}
_REASONS = {
    "use_dora": "DoRA divides by the lengths of the frozen weights' columns in every step, and workers hold them",
    "bias": "biases belong to the base model, which stays as it is",
    "layer_replication": "workers hold every layer once",
}


def lora_config(settings: Any, model: PreTrainedModel, start: peft.LoraConfig | None = None) -> peft.LoraConfig:
    """What PEFT is given; an error names what cannot work, and why.

    ``start`` has the settings of an adapter that training goes on from: they decide.
    """
    if start is not None:
        _check_conflicts(start, settings)
        config = _checked(copy.deepcopy(start), "The adapter that the model comes with")
        config.init_lora_weights = True  # all of it is replaced by what was trained
    elif settings.lora_config is None:
        config = peft.LoraConfig(**{name: getattr(settings, name) for name in REPLACED})
    else:
        _check_given_twice(settings)
        config = _checked(copy.deepcopy(settings.lora_config), "lora_config")
        check_task(config, settings.task)
    config.task_type = _TASK_TYPES[settings.task]
    config.inference_mode = False
    config.fan_in_fan_out = False  # what replaces Conv1D keeps its weights as nn.Linear does
    if settings.task == SEQUENCE_CLASSIFICATION:
        config.modules_to_save = list(dict.fromkeys([*(config.modules_to_save or []), *trained_parts(model)]))
    _check_saved(config, model)
    return config


def check_task(config: peft.LoraConfig, task: str) -> None:
    """A ValueError if LoRA settings are for another task."""
    given = getattr(config.task_type, "value", config.task_type)
    if given not in (None, _TASK_TYPES[task].value):
        raise ValueError(f"The LoRA settings have task_type={given!r}, but task={task!r}.")


def _check_given_twice(settings: Any) -> None:
    if type(settings.lora_config) is not peft.LoraConfig:
        raise TypeError(f"lora_config must be a peft.LoraConfig, got {type(settings.lora_config).__name__}.")
    twice = [name for name, default in REPLACED.items() if getattr(settings, name) != default]
    if twice:
        raise ValueError(f"lora_config is given, and {twice[0]}={getattr(settings, twice[0])!r}, too: set one of them.")


def _check_conflicts(start: peft.LoraConfig, settings: Any) -> None:
    """An adapter's own settings decide: others that were asked for are an error."""
    wanted = {name: getattr(settings, name) for name, default in REPLACED.items() if getattr(settings, name) != default}
    asked = ""
    if settings.lora_config is not None:
        _check_given_twice(settings)
        asked, default = "lora_config with ", peft.LoraConfig()
        names = _SUPPORTED - _BOOKKEEPING - {"init_lora_weights"}
        values = {name: getattr(settings.lora_config, name) for name in sorted(names) if hasattr(start, name)}
        wanted = {name: value for name, value in values.items() if _told(value) != _told(getattr(default, name))}
    for name, value in wanted.items():
        found = getattr(start, name)
        if name == "target_modules" and value == REPLACED[name]:
            continue
        if _told(value) != _told(found):
            raise ValueError(
                f"The model comes with an adapter of {name}={_shown(found)}, which training goes on from, but "
                f"{asked}{name}={_shown(value)} is asked for. Leave it out, or pass the base model for a fresh adapter."
            )


def _told(value: Any) -> Any:
    """Lists, tuples and sets of names mean the same."""
    return frozenset(value) if isinstance(value, (list, tuple, set, frozenset)) else value


def _shown(value: Any) -> str:
    return repr(sorted(value) if isinstance(value, (set, frozenset)) else value)


def _checked(config: peft.LoraConfig, source: str) -> peft.LoraConfig:
    default = peft.LoraConfig()
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if name == "init_lora_weights" and value not in _INITIALIZATIONS:
            raise UnsupportedModelError(
                f"{source} has init_lora_weights={value!r}, which begins from the frozen weights or from what "
                f"they compute, and workers hold them. Use one of {_INITIALIZATIONS}."
            )
        if name not in _SUPPORTED and value != getattr(default, name):
            reason = _REASONS.get(name, "it is not supported where workers hold the frozen weights")
            raise UnsupportedModelError(f"{source} has {name}={value!r}: {reason}.")
    return config


def _check_saved(config: peft.LoraConfig, model: PreTrainedModel) -> None:
    """Modules that are trained as a whole must be the client's own."""
    for path, module in model.named_modules():
        names = [name for name in config.modules_to_save or [] if path.endswith(name)]
        if names and any(isinstance(part, RemoteLinear) for part in module.modules()):
            raise UnsupportedModelError(
                f"The LoRA settings have {names[0]!r} in modules_to_save, but workers compute {path}, and their "
                "weights are frozen. Embeddings, norms and heads can be trained as a whole."
            )
