"""Classification heads: of any architecture, with as many outputs as there are classes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ...exceptions import UnsupportedModelError

_FRESH = "_fhe_fresh_modules"


def as_classifier(model: PreTrainedModel) -> PreTrainedModel:
    """A classifier around a model's backbone; what the backbone lacks, and the head, are fresh."""
    try:
        with torch.device("meta"):
            classifier = AutoModelForSequenceClassification.from_config(copy.deepcopy(model.config))
    except ValueError as error:
        raise UnsupportedModelError(
            f"transformers has no sequence classifier for {type(model).__name__} "
            f"(model_type={model.config.model_type!r})."
        ) from error
    backbone, expected = model.base_model, dict(classifier.base_model.named_children())
    present = dict(backbone.named_children())
    missing = [name for name in expected if name not in present]
    for name in missing:
        setattr(backbone, name, expected[name])
    for name in set(present) - set(expected):
        setattr(backbone, name, None)  # such as a pooler that this kind of head does not use
    setattr(classifier, classifier.base_model_prefix, backbone)
    mark_fresh(classifier, missing)
    set_head(classifier, 2, 0)
    return classifier


def mark_fresh(model: PreTrainedModel, names: list[str]) -> None:
    """Note parts of the backbone that were not pretrained: they are trained and saved like the head."""
    setattr(model, _FRESH, names)


def fresh_parts(model: PreTrainedModel) -> list[str]:
    """Parts of the backbone that were not pretrained, by name."""
    return list(vars(model).get(_FRESH, []))


def head_parts(model: PreTrainedModel) -> list[str]:
    """Modules of the head that have parameters, by name."""
    return [
        name
        for name, module in model.named_children()
        if name != model.base_model_prefix and next(module.parameters(), None) is not None
    ]


def trained_parts(model: PreTrainedModel) -> list[str]:
    """What a classifier trains and saves beside its adapter."""
    return [*fresh_parts(model), *head_parts(model)]


def set_head(model: PreTrainedModel, n_classes: int, pad: int) -> None:
    """A fresh head for so many classes, as the architecture builds it, and fresh parts of the backbone."""
    model.config.num_labels = n_classes
    model.num_labels = n_classes  # type: ignore[assignment]
    model.config.pad_token_id = pad
    model.config.problem_type = "single_label_classification"
    with torch.device("meta"):
        template = type(model)(copy.deepcopy(model.config))
    parameter = next(p for p in model.base_model.parameters() if p.device.type != "meta")
    for name in head_parts(template):
        setattr(model, name, _initialized(template, getattr(template, name), parameter.device))
    for name in fresh_parts(model):
        part = getattr(template.base_model, name)
        setattr(model.base_model, name, _initialized(template, part, parameter.device))
    model.eval()


def _initialized(model: Any, module: nn.Module, device: torch.device) -> nn.Module:
    module = module.to_empty(device=device).float()
    for part in module.modules():
        for tensor in (part, *part.parameters(recurse=False), *part.buffers(recurse=False)):
            vars(tensor).pop("_is_hf_initialized", None)
        model._init_weights(part)
    return module.requires_grad_(False)
