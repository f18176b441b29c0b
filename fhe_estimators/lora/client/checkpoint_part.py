"""A checkpoint in two parts: what the client keeps, and what workers hold. Safetensors and JSON, no pickle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from ...backends.lwe import WeightNorms
from ...backends.lwe.client.verification import check_verify_bits
from ...exceptions import FHEError, ProtocolError
from ...quantizers.linear import LinearQuantizer
from ..model.architectures import CLASSIFIER
from ..model.weights import BACKWARD, DIRECTIONS, FORWARD
from ..schemas import ClientLayerEntry, ClientManifest, NormsEntry
from ..worker.checkpoint_part import CLIENT_LAYERS, FORMAT_VERSION, MANIFEST, read_manifest, write_json
from .frozen_layer import FrozenLayer, Outliers
from .layer_checks import CHECKS_FILE, StoredChecks, drawn_sets, forget_stored
from .remote_linear import RemoteLinear
from .splitting import Member, put_in, remote_groups

#: Raised whenever an older reader would misread a newer client's part.
CLIENT_FORMAT_VERSION = 3
_CLIENT_WEIGHTS = "client.safetensors"
#: The adapter that a split model came with, in the client's part: training goes on from it.
ADAPTER_FOLDER = "adapter"


def save_parts(model: PreTrainedModel, folder: Path) -> None:
    """Write ``client/`` and ``workers/`` of a model whose layers were taken out.

    The client's part holds secret check vectors: it is for the data owner only.
    """
    client, workers = folder / "client", folder / "workers"
    client.mkdir(parents=True, exist_ok=True, mode=0o700)
    workers.mkdir(parents=True, exist_ok=True)
    forget_stored(client)
    layers = [group.layer for group in remote_groups(model)]
    entries = _save_workers_part(layers, workers)
    members, tensors = _members(model), _biases(model)
    checks: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(layers):
        tensors |= {f"{number}/{name}": tensor for name, tensor in _layer_tensors(layer).items()}
        if layer.checks is not None:
            assert layer.weights is not None
            checks |= drawn_sets(layer.weights, number, layer.checks.verify_bits)
    described = [
        {
            **entry,
            "quantizer": asdict(layer.quantizer),
            "norms": {direction: _norms_entry(layer.norms[direction]) for direction in DIRECTIONS},
            "members": members[number],
            "rounding_error": layer.rounding_error,
            "verify_bits": 0 if layer.checks is None else layer.checks.verify_bits,
        }
        for number, (entry, layer) in enumerate(zip(entries, layers, strict=True))
    ]
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(client)
    save_file(_own_tensors(model), client / _CLIENT_WEIGHTS)
    _save_secret(tensors, client / CLIENT_LAYERS)
    if checks:
        _save_secret(checks, client / CHECKS_FILE)
    write_json(client / MANIFEST, {"format_version": CLIENT_FORMAT_VERSION, "layers": described})


def _save_workers_part(layers: Sequence[FrozenLayer], folder: Path) -> list[dict[str, Any]]:
    """Write the integer weights of layers, and nothing else; returns what the manifest says of each."""
    for stale in folder.glob("[0-9]*.safetensors"):
        stale.unlink()
    entries: list[dict[str, Any]] = []
    for number, layer in enumerate(layers):
        assert layer.weights is not None
        file = f"{number:04d}.safetensors"
        save_file({"weights": layer.weights.contiguous()}, folder / file)
        entries.append({"name": layer.name, "file": file, "digest": layer.digest, "shape": list(layer.weights.shape)})
    write_json(folder / MANIFEST, {"format_version": FORMAT_VERSION, "layers": entries})
    return entries


def _save_secret(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write a file that only its owner can read, at no time anybody else."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    save_file(tensors, path)
    os.chmod(path, 0o600)


def is_client_part(path: Path) -> bool:
    """Whether a folder is a client's part."""
    return (path / CLIENT_LAYERS).exists()


def load_client_part(folder: Path) -> PreTrainedModel:
    """The model without its large matrices, which are never in memory; `ProtocolError` if the part is damaged."""
    manifest = read_manifest(folder, ClientManifest, CLIENT_FORMAT_VERSION)
    try:
        model = _load(folder, manifest.layers)
    except FHEError:
        raise
    except Exception as error:  # whatever transformers, safetensors and PyTorch raise on files that do not fit
        raise ProtocolError(f"The client's part in {folder} is damaged: {error}") from error
    return model


def _load(folder: Path, entries: Sequence[ClientLayerEntry]) -> PreTrainedModel:
    config = AutoConfig.from_pretrained(folder)
    with init_empty_weights(include_buffers=False):
        model = _kind(config).from_config(config)
    with safe_open(folder / CLIENT_LAYERS, framework="pt") as file:
        for number, entry in enumerate(entries):
            names = [name for name in file.keys() if name.startswith(f"{number}/")]  # noqa: SIM118 (not a dict)
            tensors = {name.partition("/")[2]: file.get_tensor(name) for name in names}
            members = [
                Member(**member.model_dump(), bias=tensors.get(f"bias/{member.path}")) for member in entry.members
            ]
            put_in(model.base_model, _layer_from(folder, number, entry, tensors), members)
    unexpected = model.load_state_dict(load_file(folder / _CLIENT_WEIGHTS), strict=False, assign=True).unexpected_keys
    model.tie_weights()
    left = [name for name, parameter in model.named_parameters() if parameter.device.type == "meta"]
    if unexpected or left:
        raise ProtocolError(f"The client's part in {folder} does not fit its model: {(list(unexpected) + left)[:5]}.")
    return model


def _kind(config: Any) -> Any:
    is_classifier = any(name.endswith(CLASSIFIER) for name in config.architectures or [])
    return AutoModelForSequenceClassification if is_classifier else AutoModelForCausalLM


def _remote_modules(model: PreTrainedModel) -> list[tuple[str, RemoteLinear]]:
    found = [(path, module) for path, module in model.base_model.named_modules() if isinstance(module, RemoteLinear)]
    return sorted(found, key=lambda item: item[1].start)


def _members(model: PreTrainedModel) -> dict[int, list[dict[str, Any]]]:
    """What the manifest says of the modules of every group, by the group's number."""
    numbers = {id(group): number for number, group in enumerate(remote_groups(model))}
    members: dict[int, list[dict[str, Any]]] = {}
    for path, module in _remote_modules(model):
        entry = {"path": path, "n_outputs": module.out_features, "transposed": module.transposed}
        members.setdefault(numbers[id(module.group)], []).append(entry)
    return members


def _biases(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    numbers = {id(group): number for number, group in enumerate(remote_groups(model))}
    return {
        f"{numbers[id(module.group)]}/bias/{path}": module.bias.detach()
        for path, module in _remote_modules(model)
        if module.bias is not None
    }


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
    if layer.outliers is not None:
        tensors["outliers/columns"] = layer.outliers.columns.contiguous()
        tensors["outliers/weights"] = layer.outliers.weights.contiguous()
    for direction in DIRECTIONS:
        tensors[f"norms/{direction}"] = layer.norms[direction].euclidean.contiguous()
    return tensors


def _norms_entry(norms: WeightNorms) -> dict[str, Any]:
    return {name: value for name, value in vars(norms).items() if name != "euclidean"}


def _layer_from(folder: Path, number: int, entry: ClientLayerEntry, tensors: dict[str, torch.Tensor]) -> FrozenLayer:
    quantizer = LinearQuantizer(**entry.quantizer.model_dump())
    rows, n_inputs = entry.shape
    n_outputs = {FORWARD: rows, BACKWARD: n_inputs}
    norms: dict[str, NormsEntry] = {str(direction): found for direction, found in entry.norms.items()}
    found = [tuple(tensors["scales"].shape), *(tuple(tensors[f"norms/{d}"].shape) for d in DIRECTIONS)]
    if (
        found != [(rows,), (rows,), (n_inputs,)]
        or sum(member.n_outputs for member in entry.members) * (quantizer.n_limbs) != rows
    ):
        raise ProtocolError(f"The client's part in {folder} is damaged: layer {entry.name!r} has sizes that differ.")
    outliers = _outliers_from(folder, entry, tensors, rows // quantizer.n_limbs)
    checks = None
    if entry.verify_bits:
        checks = StoredChecks(folder, entry.name, number, check_verify_bits(entry.verify_bits), n_outputs)
    return FrozenLayer(
        name=entry.name,
        n_inputs=n_inputs,
        n_outputs=rows // quantizer.n_limbs,
        scales=tensors["scales"],
        digest=entry.digest,
        norms={d: WeightNorms(tensors[f"norms/{d}"], **norms[d].model_dump()) for d in DIRECTIONS},
        quantizer=quantizer,
        checks=checks,
        outliers=outliers,
        rounding_error=entry.rounding_error,
    )


def _outliers_from(
    folder: Path, entry: ClientLayerEntry, tensors: dict[str, torch.Tensor], n_outputs: int
) -> Outliers | None:
    columns, weights = tensors.get("outliers/columns"), tensors.get("outliers/weights")
    if columns is None and weights is None:
        return None
    if (
        columns is None
        or weights is None
        or columns.dtype != torch.int64
        or weights.dtype != torch.float32
        or tuple(weights.shape) != (n_outputs, len(columns))
        or not ((columns >= 0) & (columns < entry.shape[1])).all()
        or (columns.diff() <= 0).any()
    ):
        raise ProtocolError(f"The client's part in {folder} is damaged: outliers of layer {entry.name!r} do not fit.")
    return Outliers(columns, weights)
