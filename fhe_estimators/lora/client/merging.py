"""A plain model with an adapter merged into its original weights."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import peft
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from ...exceptions import UnsupportedModelError
from .adapters import has_transposed
from .embeddings import fit_embeddings
from .heads import set_head
from .loading import is_split, load_model


def merged(tuned: peft.PeftModel, model: Any, tokenizer: Any, task: str, classes: Any, pad: int) -> PreTrainedModel:
    """The base model ``model``, loaded or copied again, with what ``tuned`` was trained to.

    ``classes`` are the labels of a classifier, by output of its head.
    """
    base = load_model(model, task)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # compile() has told it
        fit_embeddings(base, tokenizer)
    if is_split(base):
        raise UnsupportedModelError(
            "The client's part of a split model has no frozen weights to merge the adapter into: save_adapter, and "
            "load it with peft.PeftModel.from_pretrained beside the whole model."
        )
    if classes is not None:
        set_head(base, len(classes), pad)
        base.config.id2label = {number: str(label) for number, label in enumerate(classes)}
        base.config.label2id = {str(label): number for number, label in enumerate(classes)}
    _untie(base, tuned)
    config: Any = copy.deepcopy(tuned.peft_config["default"])
    config.fan_in_fan_out = has_transposed(tuned)
    adapted: Any = peft.get_peft_model(base, config)
    peft.set_peft_model_state_dict(adapted, peft.get_peft_model_state_dict(tuned, save_embedding_layers=False))
    return adapted.merge_and_unload().requires_grad_(True).eval()


def _untie(base: PreTrainedModel, tuned: peft.PeftModel) -> None:
    """Give embeddings and head weights of their own, if they are one matrix and the adapter changes one of them."""
    model: Any = tuned.get_base_model()
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    embeddings: Any = base.get_input_embeddings()
    head: Any = base.get_output_embeddings()
    if head is not None and head.weight is embeddings.weight and any(isinstance(end, BaseTunerLayer) for end in ends):
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)
        base.config.get_text_config().tie_word_embeddings = base.config.tie_word_embeddings = False
