"""Loading a pretrained model and its tokenizer from a folder or a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
)

from .private_adapters import without_adapters

CAUSAL_LM, SEQUENCE_CLASSIFICATION = "causal-lm", "sequence-classification"
TASKS = (CAUSAL_LM, SEQUENCE_CLASSIFICATION)


def load_pretrained(path: str | Path) -> PreTrainedModel:
    """A language model from a folder or a GGUF file, in float32, without the adapter that may lie beside it."""
    folder, options = _location(path)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options)
    if options:
        forget_quantization(model)
    return without_adapters(model)


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


def pad_token(model: PreTrainedModel, tokenizer: Any) -> int:
    """Token for padding, which is masked: its own, else the end of text, else 0."""
    candidates = [getattr(tokenizer, "pad_token_id", None), getattr(tokenizer, "eos_token_id", None)]
    candidates += [model.config.pad_token_id if hasattr(model.config, "pad_token_id") else None, 0]
    return next(int(token) for token in candidates if isinstance(token, int))
