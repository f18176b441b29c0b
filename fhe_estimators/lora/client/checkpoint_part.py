"""A checkpoint in two parts: what the client keeps, and what workers hold. Safetensors and JSON, no pickle."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from ...backends.lwe import WeightNorms
from ...backends.lwe.client.verification import ProductCheck
from ...exceptions import ProtocolError
from ...quantizers.linear import LinearQuantizer
from ..model.weights import DIRECTIONS
from ..worker.checkpoint_part import CLIENT_LAYERS, FORMAT_VERSION, MANIFEST, read_manifest, write_json
from .frozen_layer import FrozenLayer
from .remote_linear import RemoteLinear
from .splitting import Member, put_in, remote_groups

_CLIENT_WEIGHTS = "client.safetensors"


def save_parts(model: PreTrainedModel, folder: Path) -> None:
    """Write ``client/`` and ``workers/`` of a model whose layers were taken out.

    The client's part holds secret check vectors: it is for the data owner only.
    """
    client, workers = folder / "client", folder / "workers"
    for part in (client, workers):
        part.mkdir(parents=True, exist_ok=True)
    groups = remote_groups(model)
    members, biases = _members(model), _biases(model)
    entries: list[dict[str, Any]] = []
    tensors: dict[str, torch.Tensor] = {}
    for number, group in enumerate(groups):
        layer = group.layer
        assert layer.weights is not None
        file = f"{number:04d}.safetensors"
        save_file({"weights": layer.weights.contiguous()}, workers / file)
        entries.append({"name": layer.name, "file": file, "digest": layer.digest, "shape": list(layer.weights.shape)})
        tensors |= {f"{number}/{name}": tensor for name, tensor in _layer_tensors(layer).items()}
        for path, bias in biases.get(id(group), {}).items():
            tensors[f"{number}/bias/{path}"] = bias
    write_json(workers / MANIFEST, {"format_version": FORMAT_VERSION, "layers": entries})
    described = [
        {
            **entry,
            "quantizer": asdict(group.layer.quantizer),
            "norms": {direction: _norms_entry(group.layer.norms[direction]) for direction in DIRECTIONS},
            "members": members[id(group)],
        }
        for entry, group in zip(entries, groups, strict=True)
    ]
    model.config.save_pretrained(client)
    save_file(_own_tensors(model), client / _CLIENT_WEIGHTS)
    save_file(tensors, client / CLIENT_LAYERS)
    os.chmod(client / CLIENT_LAYERS, 0o600)
    write_json(client / MANIFEST, {"format_version": FORMAT_VERSION, "layers": described})


def is_client_part(path: Path) -> bool:
    """Whether a folder is a client's part."""
    return (path / CLIENT_LAYERS).exists()


def load_client_part(folder: Path) -> PreTrainedModel:
    """The model without its large matrices, which are never in memory."""
    manifest = read_manifest(folder)
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    with safe_open(folder / CLIENT_LAYERS, framework="pt") as file:
        for number, entry in enumerate(manifest["layers"]):
            names = [name for name in file.keys() if name.startswith(f"{number}/")]  # noqa: SIM118 (not a dict)
            tensors = {name.partition("/")[2]: file.get_tensor(name) for name in names}
            members = [Member(**member, bias=tensors.get(f"bias/{member['path']}")) for member in entry["members"]]
            put_in(model.base_model, _layer_from(entry, tensors), members)
    unexpected = model.load_state_dict(load_file(folder / _CLIENT_WEIGHTS), strict=False, assign=True).unexpected_keys
    model.tie_weights()
    left = [name for name, parameter in model.named_parameters() if parameter.device.type == "meta"]
    if unexpected or left:
        raise ProtocolError(f"The client's part in {folder} does not fit its model: {(list(unexpected) + left)[:5]}.")
    return model


def _remote_modules(model: PreTrainedModel) -> list[tuple[str, RemoteLinear]]:
    found = [(path, module) for path, module in model.base_model.named_modules() if isinstance(module, RemoteLinear)]
    return sorted(found, key=lambda item: item[1].start)


def _members(model: PreTrainedModel) -> dict[int, list[dict[str, Any]]]:
    members: dict[int, list[dict[str, Any]]] = {}
    for path, module in _remote_modules(model):
        entry = {"path": path, "n_outputs": module.out_features, "transposed": module.transposed}
        members.setdefault(id(module.group), []).append(entry)
    return members


def _biases(model: PreTrainedModel) -> dict[int, dict[str, torch.Tensor]]:
    biases: dict[int, dict[str, torch.Tensor]] = {}
    for path, module in _remote_modules(model):
        if module.bias is not None:
            biases.setdefault(id(module.group), {})[path] = module.bias.detach()
    return biases


def _own_tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Parameters and buffers that stay with the client; tied ones once."""
    remote_paths = [path for path, module in model.named_modules() if isinstance(module, RemoteLinear)]
    remote = {f"{path}.{name}" for path in remote_paths for name in ("weight", "bias")}
    seen: set[int] = set()
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name not in remote and tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.contiguous()
    return tensors


def _layer_tensors(layer: FrozenLayer) -> dict[str, torch.Tensor]:
    tensors = {"scales": layer.scales.contiguous()}
    for direction in DIRECTIONS:
        tensors[f"norms/{direction}"] = layer.norms[direction].euclidean.contiguous()
        if direction in layer.checks:
            tensors |= {f"check/{direction}/{k}": v for k, v in layer.checks[direction].tensors().items()}
    return tensors


def _norms_entry(norms: WeightNorms) -> dict[str, Any]:
    return {name: value for name, value in vars(norms).items() if name != "euclidean"}


def _layer_from(entry: dict[str, Any], tensors: dict[str, torch.Tensor]) -> FrozenLayer:
    checks = {}
    for direction in DIRECTIONS:
        parts = {name.rpartition("/")[2]: t for name, t in tensors.items() if name.startswith(f"check/{direction}/")}
        if parts:
            checks[direction] = ProductCheck.from_tensors(parts)
    quantizer = LinearQuantizer(**entry["quantizer"])
    rows, n_inputs = entry["shape"]
    return FrozenLayer(
        name=entry["name"],
        n_inputs=n_inputs,
        n_outputs=rows // quantizer.n_limbs,
        scales=tensors["scales"],
        digest=entry["digest"],
        norms={d: WeightNorms(euclidean=tensors[f"norms/{d}"], **entry["norms"][d]) for d in DIRECTIONS},
        quantizer=quantizer,
        checks=checks,
    )
