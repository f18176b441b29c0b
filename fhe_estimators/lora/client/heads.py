"""Classification heads: of any architecture, with as many outputs as there are classes."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ...exceptions import UnsupportedModelError
from ..randomness import Randomness

_FRESH = "_fhe_fresh_modules"
_TRAINED = "_fhe_trained_head"


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
    with Randomness("cpu", seed=0).drawing():  # until the classes are known
        set_head(classifier, 2, 0)
    return classifier


def mark_fresh(model: PreTrainedModel, names: list[str]) -> None:
    """Note parts of the backbone that were not pretrained: they are trained and saved like the head."""
    setattr(model, _FRESH, names)


def fresh_parts(model: PreTrainedModel) -> list[str]:
    """Parts of the backbone that were not pretrained, by name."""
    return list(vars(model).get(_FRESH, []))


def mark_head(model: PreTrainedModel, *, is_trained: bool) -> None:
    """Note whether the head came with the model: it is kept then."""
    setattr(model, _TRAINED, is_trained)


def has_trained_head(model: PreTrainedModel) -> bool:
    """Whether the head came with the model."""
    return bool(vars(model).get(_TRAINED, False))


def check_head(model: PreTrainedModel) -> None:
    """Refuse heads that were trained for something other than one class of each text."""
    kind = getattr(model.config, "problem_type", None)
    if int(model.config.num_labels or 0) < 2 or kind in ("regression", "multi_label_classification"):
        raise ValueError(
            f"The model's head is for {kind or 'regression'} ({model.config.num_labels} outputs, "
            f"{head_names(model)[:5]}), and here each text has one class: pass reset_head=True to train a fresh head."
        )


def head_names(model: PreTrainedModel) -> list[str]:
    """What the classes of a head are called, in its order."""
    names: dict[Any, Any] = dict(model.config.id2label or {})
    return [str(names.get(number, number)) for number in range(int(model.config.num_labels or 0))]


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
    tell_head(model, pad)
    with torch.device("meta"):
        template = type(model)(copy.deepcopy(model.config))
    parameter = next(p for p in model.base_model.parameters() if p.device.type != "meta")
    for name in head_parts(template):
        setattr(model, name, _initialized(template, getattr(template, name), parameter.device))
    for name in fresh_parts(model):
        part = getattr(template.base_model, name)
        setattr(model.base_model, name, _initialized(template, part, parameter.device))
    model.eval()


def tell_head(model: PreTrainedModel, pad: int) -> None:
    """What a head is told: how texts are padded, and that each of them has one class."""
    model.config.pad_token_id = pad
    model.config.problem_type = "single_label_classification"


def _initialized(model: Any, module: nn.Module, device: torch.device) -> nn.Module:
    module = module.to_empty(device=device).float()
    for part in module.modules():
        for tensor in (part, *part.parameters(recurse=False), *part.buffers(recurse=False)):
            vars(tensor).pop("_is_hf_initialized", None)
        model._init_weights(part)
    return module.requires_grad_(False)
