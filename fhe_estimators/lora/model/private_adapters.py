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
    found = list(wrapped_modules(model))
    if not found:
        return model
    for path, module in found:
        parent_path, _, name = path.rpartition(".")
        try:
            parent = model.get_submodule(parent_path)
        except AttributeError:
            continue  # it went with the module around it
        setattr(parent, name, _base_of(module))
    model._hf_peft_config_loaded = False
    vars(model).pop("peft_config", None)
    warnings.warn(
        f"The model comes with an adapter ({len(found)} modules, such as {found[0][0]}). Adapters are private: workers "
        "get the base model's weights only, and training begins with a fresh one.",
        RuntimeWarning,
        stacklevel=3,
    )
    return model


def _base_of(module: Any) -> nn.Module:
    if isinstance(module, BaseTunerLayer):
        if getattr(module, "merged", False):
            module.unmerge()
        return module.get_base_layer()
    return module.original_module
