"""Loading the client's model, and making a classifier of a language model."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peft
from torch import nn
from transformers import PreTrainedModel

from ..model.architectures import check_config, check_language_model, is_classifier
from ..model.loading import SEQUENCE_CLASSIFICATION, base_of_adapter, dequantized, has_adapter, load_for_task
from ..model.private_adapters import take_off
from .checkpoint_part import ADAPTER_FOLDER, is_client_part, load_client_part
from .embeddings import note_origin
from .heads import as_classifier, mark_fresh, mark_head
from .lora_config import check_task
from .remote_linear import RemoteLinear
from .start_adapter import StartAdapter, adapter_in, adapter_of


@dataclass(frozen=True)
class Loaded:
    """A model without its adapter, in float32 and evaluation mode, and the adapter that it came with."""

    model: PreTrainedModel
    adapter: StartAdapter | None = None

    def with_fresh_head(self) -> Loaded:
        """Without what was trained of a classifier's head."""
        mark_head(self.model, is_trained=False)
        return self if self.adapter is None else Loaded(self.model, self.adapter.without_head(self.model))


def load_model(model: Any, task: str) -> PreTrainedModel:
    """A model of the user's, copied, or loaded from a folder or a GGUF file, without the adapter that it comes with."""
    return load_with_adapter(model, task).model


def load_with_adapter(model: Any, task: str) -> Loaded:
    """A model of the user's, copied, or loaded from a folder or a GGUF file, and its adapter apart."""
    adapter = None
    if isinstance(model, (PreTrainedModel, peft.PeftModel)):
        adapter = adapter_of(model)
        base: Any = model.get_base_model() if isinstance(model, peft.PeftModel) else model
        check_config(base.config, type(base).__name__)
        loaded = dequantized(_without_adapter(copy.deepcopy(base)))
        mark_head(loaded, is_trained=is_classifier(loaded))
        note_origin(loaded)
    elif isinstance(model, (str, Path)):
        loaded, adapter = _from_path(model, task)
    else:
        raise TypeError(
            "model must be a transformers PreTrainedModel, a peft.PeftModel, a folder, a .gguf file or a name on the "
            f"hub, got {type(model).__name__}."
        )
    loaded = _for_task(loaded.float().eval(), model, task)
    if adapter is not None:
        check_task(adapter.config, task)
        adapter = adapter.put_embeddings_into(loaded)
        if task == SEQUENCE_CLASSIFICATION and adapter.fit_head(loaded):
            mark_head(loaded, is_trained=True)
    for parameter in loaded.parameters():
        parameter.requires_grad_(False)
    return Loaded(loaded.eval(), adapter)


def _from_path(path: str | Path, task: str) -> tuple[PreTrainedModel, StartAdapter | None]:
    adapter = adapter_in(path) if has_adapter(path) else None
    base = Path(base_of_adapter(path))
    if is_client_part(base):
        kept = base / ADAPTER_FOLDER
        if adapter is None and kept.exists():
            adapter = adapter_in(kept)
        loaded = load_client_part(base)
        mark_head(loaded, is_trained=is_classifier(loaded))
        return loaded, adapter
    loaded, missing = load_for_task(path, task)
    loaded = _without_adapter(loaded)
    prefix = f"{loaded.base_model_prefix}."
    mark_fresh(loaded, sorted({name.removeprefix(prefix).split(".")[0] for name in missing if name.startswith(prefix)}))
    has_head = is_classifier(loaded) and all(name.startswith(prefix) for name in missing)
    mark_head(loaded, is_trained=has_head)
    return loaded, adapter


def _without_adapter(model: PreTrainedModel) -> PreTrainedModel:
    take_off(model)
    return model


def _for_task(loaded: PreTrainedModel, model: Any, task: str) -> PreTrainedModel:
    if task == SEQUENCE_CLASSIFICATION:
        return loaded if is_classifier(loaded) else as_classifier(loaded)
    if not is_split(loaded):
        check_language_model(loaded)
    elif is_classifier(loaded):
        raise ValueError(f"model={str(model)!r} is a split classifier: pass task='sequence-classification'.")
    return loaded


def is_split(model: nn.Module) -> bool:
    """Whether the model's linear layers were taken out already."""
    return any(isinstance(module, RemoteLinear) for module in model.modules())
