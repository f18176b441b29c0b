"""The adapter that a model comes with: training goes on from it. Private, as all adapters are."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peft
import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn
from transformers import PreTrainedModel

from ...exceptions import ProtocolError, UnsupportedModelError
from ..model.private_adapters import wrapped_modules
from .embeddings import mark_own_embeddings
from .heads import head_parts, set_head

_PREFIX = "base_model.model."


@dataclass(frozen=True)
class StartAdapter:
    """A trained LoRA adapter.

    Parameters
    ----------
    config : peft.LoraConfig
    tensors : dict of str to tensor
        By the names that PEFT gives them in files.
    """

    config: peft.LoraConfig
    tensors: dict[str, torch.Tensor] = field(repr=False)

    def put_embeddings_into(self, model: PreTrainedModel) -> StartAdapter:
        """Give a model the embeddings that were saved with the adapter, resized to them; the rest of the adapter."""
        kept = dict(self.tensors)
        embeddings = {id(module) for module in (model.get_input_embeddings(), model.get_output_embeddings())}
        for name, tensor in self.tensors.items():
            path, _, leaf = name.removeprefix(_PREFIX).replace(".base_layer.", ".").rpartition(".")
            module = _submodule(model, path)
            if module is None or id(module) not in embeddings or leaf not in ("weight", "bias"):
                continue
            if module.weight.ndim == tensor.ndim == 2 and len(tensor) != len(module.weight):
                model.resize_token_embeddings(len(tensor), mean_resizing=False)
            if any(path.endswith(saved) for saved in self.config.modules_to_save or []):
                continue  # a trained copy, which is the adapter's
            parameter = module.get_parameter(leaf)
            if parameter.shape != tensor.shape:
                raise UnsupportedModelError(
                    f"The adapter has {path} of shape {tuple(tensor.shape)}, the model {tuple(parameter.shape)}."
                )
            parameter.data.copy_(tensor)
            mark_own_embeddings(model)
            del kept[name]
        return StartAdapter(self.config, kept)

    def fit_head(self, model: PreTrainedModel) -> bool:
        """Give a classifier as many outputs as the adapter's trained head has; False if there is none in it."""
        n_outputs = None
        for part in head_parts(model):
            for name, parameter in model.get_submodule(part).named_parameters():
                tensor = self.tensors.get(f"{_PREFIX}{part}.{name}")
                if tensor is not None:
                    n_outputs = n_outputs or model.config.num_labels
                    if tensor.shape != parameter.shape:
                        n_outputs = len(tensor)
        if n_outputs is not None and n_outputs != model.config.num_labels:
            set_head(model, n_outputs, 0)
        return n_outputs is not None

    def without_head(self, model: PreTrainedModel) -> StartAdapter:
        """Without what it was trained to of a classifier's head."""
        heads = tuple(f"{_PREFIX}{part}." for part in head_parts(model))
        return StartAdapter(self.config, {k: v for k, v in self.tensors.items() if not k.startswith(heads)})

    def load_into(self, model: peft.PeftModel) -> None:
        """Give a model that was wrapped with these settings the trained values."""
        peft.set_peft_model_state_dict(model, self.tensors)
        there = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
        differing = [
            name
            for name in {**self.tensors, **there}
            if name not in there or (name in self.tensors and there[name].shape != self.tensors[name].shape)
        ]
        # A head, or a pooler, that the adapter was not trained with is fresh.
        missing = [name for name in there if name not in self.tensors and ".lora_" in name]
        if differing or missing:
            raise UnsupportedModelError(f"The adapter does not fit the model: {sorted(differing + missing)[:3]}.")


def adapter_of(model: Any) -> StartAdapter | None:
    """The adapter of a model in memory: of a `peft.PeftModel`, or one that was loaded into a transformers model."""
    layers = [module for _, module in wrapped_modules(model) if isinstance(module, BaseTunerLayer)]
    configs = getattr(model, "peft_config", None) or {}
    if not isinstance(model, peft.PeftModel) and next(wrapped_modules(model), None) is None:
        return None
    active = {name for layer in layers for name in layer.active_adapters} or set(configs)
    if len(active) != 1 or not active <= set(configs):
        raise UnsupportedModelError(
            f"The model has the active adapters {sorted(active)} of {sorted(configs)}: training goes on from one of "
            "them. Set it with set_adapter(name)."
        )
    (name,) = active
    config = checked_kind(configs[name])
    found = peft.get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    tensors = {_PREFIX + key.removeprefix(_PREFIX): value.detach().cpu().clone() for key, value in found.items()}
    return StartAdapter(copy.deepcopy(config), tensors)


def adapter_in(folder: str | Path) -> StartAdapter:
    """The adapter in a folder, or on the hub."""
    try:
        config = checked_kind(peft.PeftConfig.from_pretrained(str(folder)))
        tensors = peft.utils.load_peft_weights(str(folder), device="cpu")
    except UnsupportedModelError:
        raise
    except Exception as error:  # whatever PEFT and safetensors raise on files that are damaged
        raise ProtocolError(f"The adapter in {folder} cannot be read: {error}") from error
    return StartAdapter(config, tensors)


def checked_kind(config: Any) -> peft.LoraConfig:
    """The settings of an adapter, if it is LoRA."""
    if type(config) is peft.LoraConfig:
        return config
    kind = getattr(getattr(config, "peft_type", None), "value", type(config).__name__)
    raise UnsupportedModelError(
        f"The model comes with an adapter of the kind {kind}, which cannot be trained here: only what LoRA adds to the "
        "frozen layers, a product of two small matrices, is computed without their weights. Merge it into the model "
        "with PEFT (merge_and_unload), where that can be done, and pass the result."
    )


def _submodule(model: nn.Module, path: str) -> Any:
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None
