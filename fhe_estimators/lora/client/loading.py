"""Loading the client's model, and making a classifier of a language model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ..model.loading import SEQUENCE_CLASSIFICATION, load_pretrained
from ..model.private_adapters import without_adapters
from .checkpoint_part import is_client_part, load_client_part
from .remote_linear import RemoteLinear


def load_model(model: Any, task: str) -> PreTrainedModel:
    """A model of the user's, copied, or loaded from a folder or a GGUF file; float32, in evaluation mode."""
    if isinstance(model, PreTrainedModel):
        loaded = without_adapters(copy.deepcopy(model))
    elif isinstance(model, (str, Path)) and is_client_part(Path(model)):
        loaded = load_client_part(Path(model))
    elif isinstance(model, (str, Path)):
        loaded = load_pretrained(model)
    else:
        raise TypeError(
            f"model must be a transformers PreTrainedModel, a folder or a .gguf file, got {type(model).__name__}."
        )
    loaded = loaded.float()
    if task == SEQUENCE_CLASSIFICATION and not _is_classifier(loaded):
        loaded = _as_classifier(loaded)
    for parameter in loaded.parameters():
        parameter.requires_grad_(False)
    return loaded.eval()


def is_split(model: PreTrainedModel) -> bool:
    """Whether the model's linear layers were taken out already."""
    return any(isinstance(module, RemoteLinear) for module in model.modules())


def _is_classifier(model: PreTrainedModel) -> bool:
    return type(model).__name__.endswith("ForSequenceClassification")


def _as_classifier(model: PreTrainedModel) -> PreTrainedModel:
    """A sequence classifier around a language model's backbone; its head is replaced when the classes are known."""
    config = copy.deepcopy(model.config)
    with torch.device("meta"):
        classifier = AutoModelForSequenceClassification.from_config(config)
    setattr(classifier, classifier.base_model_prefix, model.base_model)
    set_head(classifier, 2, 0)
    return classifier


def set_head(model: PreTrainedModel, n_classes: int, pad: int) -> None:
    """A fresh classification head."""
    name = next(name for name in ("score", "classifier") if hasattr(model, name))
    head = nn.Linear(getattr(model, name).in_features, n_classes, bias=False)
    nn.init.normal_(head.weight, std=0.02)
    setattr(model, name, head.to(next(model.base_model.parameters()).device))
    model.config.num_labels = n_classes
    model.num_labels = n_classes  # type: ignore[assignment]
    model.config.pad_token_id = pad
    model.config.problem_type = "single_label_classification"
