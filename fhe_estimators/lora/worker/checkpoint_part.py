"""The part of a split checkpoint that workers hold. Safetensors and JSON, no pickle; no secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from ...exceptions import ProtocolError
from ..model.weights import weights_digest
from ..schemas import ManifestVersion, WorkerManifest, parse

Manifest = TypeVar("Manifest", bound=BaseModel)

FORMAT_VERSION = 1
MANIFEST = "fhe_parts.json"
CLIENT_LAYERS = "fhe_layers.safetensors"


def load_worker_part(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, torch.Tensor]:
    """Weights by layer of a workers' part, for the names wanted, checked against their digests."""
    weights = {}
    for entry in read_manifest(folder, WorkerManifest).layers:
        if wanted(entry.name):
            try:
                tensor = load_file(folder / entry.file)["weights"]
            except (OSError, SafetensorError, KeyError) as error:
                raise ProtocolError(f"{folder / entry.file} is damaged or missing: {error}") from error
            if tensor.dtype != torch.int8 or weights_digest(tensor) != entry.digest:
                raise ProtocolError(f"{folder / entry.file} is damaged: its digest is not that of the manifest.")
            weights[entry.name] = tensor
    return weights


def is_worker_part(path: Path) -> bool:
    """Whether a folder is a workers' part."""
    return (path / MANIFEST).exists() and not (path / CLIENT_LAYERS).exists()


def block_selector(layers: str | None) -> Callable[[str], bool]:
    """From ``"0-14,other"`` to a test of layer names; None selects all.

    A number stands for a transformer block: the first number between dots in a layer's name. ``other`` stands for all
    layers without one, such as ``decoder.project_out`` and ``pooler.dense``, which no number selects.
    """
    if layers is None:
        return lambda name: True
    chosen: set[int | None] = set()
    for part in layers.split(","):
        match = re.fullmatch(r"\s*(?:(\d{1,6})(?:-(\d{1,6}))?|other)\s*", part)
        if match is None:
            raise ValueError(
                f"layers={layers!r} must be numbers and ranges of blocks, and 'other' for layers outside of blocks, "
                "such as '0-14,20,other'."
            )
        chosen |= set(range(int(match[1]), int(match[2] or match[1]) + 1)) if match[1] else {None}
    return lambda name: block_of(name) in chosen


def block_of(name: str) -> int | None:
    """Number of the transformer block that a layer is in; None outside of all blocks."""
    number = re.search(r"\.(\d+)\.", f".{name}")
    return None if number is None else int(number[1])


def read_manifest(folder: Path, schema: type[Manifest], latest: int = FORMAT_VERSION) -> Manifest:
    """The list of layers of a part, of a format version that this installation reads."""
    try:
        content = (folder / MANIFEST).read_bytes()
        version = parse(ManifestVersion, content, MANIFEST).format_version
    except (OSError, ProtocolError) as error:
        raise ProtocolError(f"{folder} is not a part of a model split by fhe-estimators.") from error
    if version > latest:
        raise ProtocolError(f"{folder} has format version {version}; this installation reads up to {latest}.")
    if version < latest:
        raise ProtocolError(
            f"{folder} was split by an earlier release (format version {version}, not {latest}): split the model again."
        )
    return parse(schema, content, f"{folder / MANIFEST}")


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON."""
    path.write_text(json.dumps(content, indent=1) + "\n")
