"""A plain model with an adapter merged into its original weights."""

from __future__ import annotations

import copy
from typing import Any

import peft
from transformers import PreTrainedModel

from ...exceptions import UnsupportedModelError
from .adapters import has_transposed
from .heads import set_head
from .loading import is_split, load_model


def merged(tuned: peft.PeftModel, model: Any, task: str, classes: Any, pad: int) -> PreTrainedModel:
    """The base model ``model``, loaded or copied again, with what ``tuned`` was trained to."""
    base = load_model(model, task)
    if is_split(base):
        raise UnsupportedModelError(
            "The client's part of a split model has no frozen weights to merge the adapter into: save_adapter, and "
            "load it with peft.PeftModel.from_pretrained beside the whole model."
        )
    if classes is not None:
        set_head(base, len(classes), pad)
        base.config.id2label = {number: str(label) for number, label in enumerate(classes)}
        base.config.label2id = {str(label): number for number, label in enumerate(classes)}
    config: Any = copy.deepcopy(tuned.peft_config["default"])
    config.fan_in_fan_out = has_transposed(tuned)
    adapted: Any = peft.get_peft_model(base, config)
    peft.set_peft_model_state_dict(adapted, peft.get_peft_model_state_dict(tuned, save_embedding_layers=False))
    return adapted.merge_and_unload().requires_grad_(True).eval()
