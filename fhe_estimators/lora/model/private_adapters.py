"""Adapters that a model was loaded with: private, unlike the frozen weights below them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn
from transformers import PreTrainedModel


def wrapped_modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Modules with an adapter, or with a trained copy (``modules_to_save``), outermost first, by path."""
    for path, module in model.named_modules():
        if isinstance(module, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
            yield path, module


def without_adapters(model: PreTrainedModel) -> PreTrainedModel:
    """The base model, in place: what was trained is taken out, also where it was merged; a warning says so."""
    found = take_off(model)
    if found:
        warnings.warn(
            f"The model comes with an adapter ({len(found)} modules, such as {found[0]}), which is left out: adapters "
            "are private, and workers need the base model's weights only.",
            RuntimeWarning,
            stacklevel=3,
        )
    return model


def take_off(model: PreTrainedModel) -> list[str]:
    """Put what is below adapters and trained copies back, in place; the paths where there were some.

    PEFT's own ``unload`` leaves trained copies (``modules_to_save``) in the model.
    """
    found = list(wrapped_modules(model))
    outermost = [
        (path, module) for path, module in found if not any(path.startswith(f"{other}.") for other, _ in found)
    ]
    for path, module in outermost:
        parent_path, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent_path), name, _base_of(module))
    if found:
        model._hf_peft_config_loaded = False
        vars(model).pop("peft_config", None)
    return [path for path, _ in found]


def _base_of(module: Any) -> nn.Module:
    if isinstance(module, BaseTunerLayer):
        if getattr(module, "merged", False):
            module.unmerge()
        return module.get_base_layer()
    return module.original_module
