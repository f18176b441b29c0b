"""Loading the client's model, and making a classifier of a language model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from ..model.architectures import check_config, check_language_model, is_classifier
from ..model.loading import CAUSAL_LM, SEQUENCE_CLASSIFICATION, dequantized, load_for_task
from ..model.private_adapters import without_adapters
from .checkpoint_part import is_client_part, load_client_part
from .heads import as_classifier, mark_fresh
from .remote_linear import RemoteLinear


def load_model(model: Any, task: str) -> PreTrainedModel:
    """A model of the user's, copied, or loaded from a folder or a GGUF file; float32, in evaluation mode."""
    if isinstance(model, PreTrainedModel):
        check_config(model.config, type(model).__name__)
        loaded = dequantized(without_adapters(copy.deepcopy(model)))
    elif isinstance(model, (str, Path)) and is_client_part(Path(model)):
        loaded = load_client_part(Path(model))
    elif isinstance(model, (str, Path)):
        loaded, fresh = load_for_task(model, task)
        if fresh:
            mark_fresh(loaded, fresh)
    else:
        raise TypeError(
            "model must be a transformers PreTrainedModel, a folder, a .gguf file or a name on the hub, got "
            f"{type(model).__name__}."
        )
    loaded = loaded.float().eval()
    if task == SEQUENCE_CLASSIFICATION and not is_classifier(loaded):
        loaded = as_classifier(loaded)
    elif task == CAUSAL_LM and not is_split(loaded):
        check_language_model(loaded)
    elif task == CAUSAL_LM and is_classifier(loaded):
        raise ValueError(f"model={str(model)!r} is a split classifier: pass task='sequence-classification'.")
    for parameter in loaded.parameters():
        parameter.requires_grad_(False)
    return loaded.eval()


def is_split(model: nn.Module) -> bool:
    """Whether the model's linear layers were taken out already."""
    return any(isinstance(module, RemoteLinear) for module in model.modules())
