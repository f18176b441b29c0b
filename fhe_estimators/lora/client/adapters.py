"""LoRA adapters by PEFT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import peft
from transformers import PreTrainedModel

from .remote_linear import RemoteLinear

_TASK_TYPES = {"causal-lm": peft.TaskType.CAUSAL_LM, "sequence-classification": peft.TaskType.SEQ_CLS}


def add_adapters(model: PreTrainedModel, settings: Any) -> peft.PeftModel:
    """Wrap a model with fresh adapters; ``settings`` has the LoRA parameters of `HELoRAFineTuner`."""
    config = peft.LoraConfig(
        r=settings.r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=settings.target_modules,
        task_type=_TASK_TYPES[settings.task],
    )
    try:
        return peft.get_peft_model(model, config)
    except ValueError as error:
        available = sorted({name.rpartition(".")[2] for name, module in model.named_modules() if _is_remote(module)})
        raise ValueError(
            f"target_modules={settings.target_modules!r} match no layer of the model, whose linear layers are "
            f"{available}."
        ) from error


def _is_remote(module: Any) -> bool:
    return isinstance(module, RemoteLinear)


def save_adapter(model: peft.PeftModel, path: Path) -> None:
    """Write the adapter's folder."""
    model.save_pretrained(str(path), save_embedding_layers=False)
    if any(_is_remote(module) and module.transposed for module in model.modules()):
        # Conv1D layers were replaced by linear ones, but the adapter is to be loaded beside the original ones.
        config_path = path / "adapter_config.json"
        config_path.write_text(json.dumps({**json.loads(config_path.read_text()), "fan_in_fan_out": True}, indent=2))
