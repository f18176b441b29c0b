"""Loading a model and its tokenizer, and making a classifier of a language model."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)

from ._parts import is_client_part, load_client_part
from ._remote import RemoteLinear

CAUSAL_LM, SEQUENCE_CLASSIFICATION = "causal-lm", "sequence-classification"
TASKS = (CAUSAL_LM, SEQUENCE_CLASSIFICATION)


def load_model(model: Any, task: str) -> PreTrainedModel:
    """A model of the user's, copied, or loaded from a folder or a GGUF file; float32, in evaluation mode."""
    if isinstance(model, PreTrainedModel):
        loaded = copy.deepcopy(model)
    elif isinstance(model, (str, Path)) and is_client_part(Path(model)):
        loaded = load_client_part(Path(model))
    elif isinstance(model, (str, Path)):
        folder, options = _location(model)
        loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
        if options:
            forget_quantization(loaded)
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


def forget_quantization(model: PreTrainedModel) -> None:
    """Let a model that was read from a GGUF file count as the float model that it now is."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None  # type: ignore[assignment]
    model.is_quantized = False  # type: ignore[assignment]


def load_tokenizer(model: Any, tokenizer: Any) -> Any:
    """The tokenizer given, or the one beside a model loaded from disk; None if there is none."""
    if isinstance(tokenizer, (str, Path)):
        folder, options = _location(tokenizer)
        return AutoTokenizer.from_pretrained(folder, **options)
    if tokenizer is not None or not isinstance(model, (str, Path)):
        return tokenizer
    folder, options = _location(model)
    if options or any((Path(folder) / name).exists() for name in _TOKENIZER_FILES):
        return AutoTokenizer.from_pretrained(folder, **options)
    return None


_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def _location(path: str | Path) -> tuple[str, dict[str, str]]:
    path = Path(path)
    if path.suffix == ".gguf":
        return str(path.parent), {"gguf_file": path.name}
    if path.is_dir() and not (path / "config.json").exists():
        files = sorted(path.glob("*.gguf"))
        if len(files) == 1:
            return str(path), {"gguf_file": files[0].name}
    return str(path), {}


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


def pad_token(model: PreTrainedModel, tokenizer: Any) -> int:
    """Token for padding, which is masked: its own, else the end of text, else 0."""
    candidates = [getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    candidates += [model.config.pad_token_id if hasattr(model.config, "pad_token_id") else None, 0]
    return next(int(token) for token in candidates if isinstance(token, int))
