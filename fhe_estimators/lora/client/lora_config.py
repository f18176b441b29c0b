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
_SUPPORTED = {
    *("r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "use_rslora", "modules_to_save"),
    *("init_lora_weights", "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "lora_bias"),
    *("trainable_token_indices", "ensure_weight_tying", "target_parameters", "fan_in_fan_out", "runtime_config"),
    # what it is called and where it comes from
    *("task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    "inference_mode",
}
_REASONS = {
    "use_dora": "DoRA divides by the lengths of the frozen weights' columns in every step, and workers hold them",
    "bias": "biases belong to the base model, which stays as it is",
    "layer_replication": "workers hold every layer once",
}


def lora_config(settings: Any, model: PreTrainedModel) -> peft.LoraConfig:
    """What PEFT is given; an error names what cannot work, and why."""
    task_type = _TASK_TYPES[settings.task]
    if settings.lora_config is None:
        config = peft.LoraConfig(**{name: getattr(settings, name) for name in REPLACED}, task_type=task_type)
    else:
        config = _checked(copy.deepcopy(settings.lora_config), settings)
        if config.task_type not in (None, task_type):
            raise ValueError(f"lora_config has task_type={config.task_type!r}, but task={settings.task!r}.")
        config.task_type = task_type
    config.inference_mode = False
    config.fan_in_fan_out = False  # what replaces Conv1D keeps its weights as nn.Linear does
    if settings.task == SEQUENCE_CLASSIFICATION:
        config.modules_to_save = list(dict.fromkeys([*(config.modules_to_save or []), *trained_parts(model)]))
    _check_saved(config, model)
    return config


def _checked(config: Any, settings: Any) -> peft.LoraConfig:
    if type(config) is not peft.LoraConfig:
        raise TypeError(f"lora_config must be a peft.LoraConfig, got {type(config).__name__}.")
    twice = [name for name, default in REPLACED.items() if getattr(settings, name) != default]
    if twice:
        raise ValueError(f"lora_config is given, and {twice[0]}={getattr(settings, twice[0])!r}, too: set one of them.")
    default = peft.LoraConfig()
    for field in dataclasses.fields(config):
        name, value = field.name, getattr(config, field.name)
        if name == "init_lora_weights" and value not in _INITIALIZATIONS:
            raise UnsupportedModelError(
                f"lora_config has init_lora_weights={value!r}, which begins from the frozen weights or from what "
                f"they compute, and workers hold them. Use one of {_INITIALIZATIONS}."
            )
        if name not in _SUPPORTED and value != getattr(default, name):
            reason = _REASONS.get(name, "it is not supported where workers hold the frozen weights")
            raise UnsupportedModelError(f"lora_config has {name}={value!r}: {reason}.")
    return config


def _check_saved(config: peft.LoraConfig, model: PreTrainedModel) -> None:
    """Modules that are trained as a whole must be the client's own."""
    for path, module in model.named_modules():
        names = [name for name in config.modules_to_save or [] if path.endswith(name)]
        if names and any(isinstance(part, RemoteLinear) for part in module.modules()):
            raise UnsupportedModelError(
                f"lora_config has {names[0]!r} in modules_to_save, but workers compute {path}, and their weights are "
                "frozen. Embeddings, norms and heads can be trained as a whole."
            )
