"""Embeddings of tokens that a checkpoint does not have: made for the tokenizer, and saved with the adapter."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoConfig, PreTrainedModel

from ..model.loading import checkpoint_file
from ..randomness import Randomness

_OWN = "_fhe_own_embeddings"
_FILE = "adapter_model.safetensors"


def n_embeddings(model: PreTrainedModel) -> int:
    """Tokens that a model has embeddings of."""
    return len(model.get_input_embeddings().weight)  # type: ignore[arg-type]


def fit_embeddings(model: PreTrainedModel, tokenizer: Any) -> None:
    """Add rows for tokens that the tokenizer has and the model has not, in place, always the same ones."""
    n_rows, n_tokens = n_embeddings(model), 0 if tokenizer is None else len(tokenizer)
    if n_tokens <= n_rows:
        return
    warnings.warn(
        f"The tokenizer has {n_tokens} tokens, but the model has embeddings of {n_rows}: {n_tokens - n_rows} were "
        "added, drawn from the distribution of the others. They are saved with the adapter, and stay as they are "
        "unless lora_config has trainable_token_indices or modules_to_save.",
        RuntimeWarning,
        stacklevel=4,
    )
    with Randomness("cpu", seed=0).drawing():
        model.resize_token_embeddings(n_tokens)
    mark_own_embeddings(model)


def mark_own_embeddings(model: PreTrainedModel) -> None:
    """Note that the embeddings are not those of a checkpoint: an adapter is saved with them."""
    setattr(model, _OWN, True)


def note_origin(model: PreTrainedModel) -> None:
    """Mark the embeddings of a model that was in memory, unless they have the size of its checkpoint's."""
    found = checkpoint_file(str(model.config._name_or_path or ""), "config.json", offline=True)
    if found is not None:
        stored = AutoConfig.from_pretrained(Path(found).parent).get_text_config().vocab_size
        if stored == n_embeddings(model):
            return
    mark_own_embeddings(model)


def save_embeddings(tuned: Any, folder: Path) -> None:
    """Add embeddings to the adapter in a folder, as PEFT's ``save_embedding_layers``, if no checkpoint has them."""
    model = tuned.get_base_model()
    if not vars(model).get(_OWN, False):
        return
    tensors, stored = load_file(folder / _FILE), dict[str, torch.Tensor]()
    for module in (model.get_input_embeddings(), model.get_output_embeddings()):
        path, weight = _frozen_weight(tuned, module)
        if weight is not None and not any(weight is other for other in stored.values()):
            stored[f"{path}.weight"] = weight
    tensors |= {name: weight.detach().cpu().contiguous() for name, weight in stored.items()}
    save_file(tensors, folder / _FILE, {"format": "pt"})


def _frozen_weight(tuned: nn.Module, module: Any) -> tuple[str, torch.Tensor | None]:
    """The name that PEFT has for the frozen weight of an embedding; None if a trained copy is saved in its place."""
    if module is None or isinstance(module, ModulesToSaveWrapper):
        return "", None
    while isinstance(module, (AuxiliaryTrainingWrapper, BaseTunerLayer)):
        module = module.original_module if isinstance(module, AuxiliaryTrainingWrapper) else module.get_base_layer()
    path = next(name for name, found in tuned.named_modules(remove_duplicate=False) if found is module)
    return path, module.weight
