"""Adapters: PEFT's LoRA modules around remote linear ones, in the clear on the client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel

from ...exceptions import UnsupportedModelError
from .embeddings import save_embeddings
from .lora_config import lora_config
from .remote_linear import RemoteLinear
from .start_adapter import StartAdapter


def add_adapters(model: PreTrainedModel, settings: Any, start: StartAdapter | None = None) -> peft.PeftModel:
    """Wrap a model with fresh adapters, or with what ``start`` was trained to.

    ``settings`` has the LoRA parameters of `HELoRAFineTuner`.
    """
    config = lora_config(settings, model, None if start is None else start.config)
    wanted = config.target_modules
    try:
        adapted = peft.get_peft_model(model, config)
    except ValueError as error:
        available = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if _is_remote(module)})
        raise ValueError(
            f"target_modules={wanted!r} match no layer of the model, whose linear layers are {available}. ({error})"
        ) from error
    for module in adapted.modules():
        if isinstance(module, BaseTunerLayer) and _is_remote(module.get_base_layer()):
            vars(module)["get_delta_weight"] = _refuse_merge
    if start is not None:
        start.load_into(adapted)
    return adapted


def _refuse_merge(adapter: str) -> Any:
    raise UnsupportedModelError(
        "Adapters cannot be merged into this model, whose frozen weights are the workers': use merge() of "
        "HELoRAFineTuner, or peft.PeftModel.from_pretrained(base model, saved adapter).merge_and_unload()."
    )


def _is_remote(module: Any) -> bool:
    return isinstance(module, RemoteLinear)


def save_adapter(model: peft.PeftModel, path: Path) -> None:
    """Write the adapter's folder."""
    model.save_pretrained(str(path), save_embedding_layers=False)
    save_embeddings(model, path)
    if has_transposed(model):
        # Conv1D layers were replaced by linear ones, but the adapter is to be loaded beside the original ones.
        config_path = path / "adapter_config.json"
        config_path.write_text(json.dumps({**json.loads(config_path.read_text()), "fan_in_fan_out": True}, indent=2))


def has_transposed(model: Any) -> bool:
    """Whether a model has layers in place of GPT-2's ``Conv1D``."""
    return any(_is_remote(module) and module.transposed for module in model.modules())
