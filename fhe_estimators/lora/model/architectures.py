"""Which models can be split, and which cannot: said in a sentence, before anything is computed."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from ...exceptions import UnsupportedModelError

CLASSIFIER = "ForSequenceClassification"
_LIMIT = "_fhe_n_positions"


def is_classifier(model: Any) -> bool:
    """Whether a model classifies sequences."""
    return type(model).__name__.endswith(CLASSIFIER)


def check_config(config: Any, name: str) -> None:
    """Refuse encoder-decoders: half of their layers multiply what is no token to predict from."""
    if getattr(config, "is_encoder_decoder", False):
        raise UnsupportedModelError(
            f"{name} is an encoder-decoder (model_type={config.model_type!r}), which is not supported. Use a decoder, "
            "such as Llama or GPT-2, or for task='sequence-classification' an encoder, such as BERT."
        )


def check_language_model(model: PreTrainedModel) -> None:
    """Refuse what predicts no next token from those before it: models without such a head, and encoders."""
    name = type(model).__name__
    if is_classifier(model):
        raise UnsupportedModelError(f"{name} is a classifier: pass task='sequence-classification'.")
    device = next(model.parameters()).device
    tokens = torch.zeros((2, 4), dtype=torch.long, device=device)
    tokens[1, -1] = 1  # the last token, which those before it must not depend on
    with torch.no_grad():
        output = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    logits = getattr(output, "logits", None)
    if logits is None or logits.ndim != 3:
        raise UnsupportedModelError(f"{name} has no head that predicts tokens: pass a model ...ForCausalLM.")
    first, second = logits[:, :-1].float()
    if bool(torch.isfinite(logits).all()) and not torch.allclose(first, second, rtol=1e-2, atol=1e-3):
        raise UnsupportedModelError(
            f"{name} is an encoder: its predictions depend on later tokens, so it is no language model. Pass "
            "task='sequence-classification', or a model that reads from left to right (is_decoder=True)."
        )


def guard_positions(backbone: nn.Module) -> None:
    """Let a model with a table of positions say which text is too long for it, instead of an index out of range."""
    limits = [
        module.num_embeddings - _first_position(module)
        for path, module in backbone.named_modules()
        if isinstance(module, nn.Embedding) and re.search(r"position_embeddings|wpe|embed_positions", path)
    ]
    if limits:
        vars(backbone)[_LIMIT] = min(limits)
        backbone.register_forward_pre_hook(_check_length, with_kwargs=True)


def _check_length(backbone: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    limit = vars(backbone)[_LIMIT]
    tensors = [*arguments[:1], named.get("input_ids"), named.get("attention_mask")]
    length = max((t.shape[1] for t in tensors if isinstance(t, torch.Tensor) and t.ndim == 2), default=0)
    if length > limit:
        raise ValueError(
            f"A text has {length} tokens, but the model has {limit} positions: set max_length to {limit} at most, less "
            "what is generated."
        )


def _first_position(table: Any) -> int:
    """Rows before that of the first token: RoBERTa counts from behind the padding token, OPT from 2."""
    return int(getattr(table, "offset", 0)) + (0 if table.padding_idx is None else table.padding_idx + 1)
