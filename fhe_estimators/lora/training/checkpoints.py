"""States of an interrupted training: adapters, optimizer, history; safetensors and JSON, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from ...exceptions import FHEError, ProtocolError

_TENSORS, _HISTORY = "state.safetensors", "history.json"
State = tuple[list[dict[str, Any]], dict[str, torch.Tensor]]


def save_checkpoint(
    directory: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, Any]],
    best: dict[str, torch.Tensor],
    work: Mapping[str, Any] | None = None,
) -> None:
    """Write a state, with the best adapter so far; a complete one is always there, whenever writing is interrupted.

    ``work`` says what the state is of, see `check_work`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {f"parameter/{name}": value.detach() for name, value in trained_parameters(model).items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in state.items()}
    temporary = directory / f"{_TENSORS}.new"
    metadata = {"step": str(len(history)), "work": json.dumps(dict(work or {}))}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    text = directory / f"{_HISTORY}.{len(history)}"
    text.write_text(json.dumps(history))
    os.replace(temporary, directory / _TENSORS)  # from here on, this state counts
    for stale in set(directory.glob(f"{_HISTORY}.*")) - {text}:
        stale.unlink()


def load_checkpoint(directory: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> State:
    """Restore the state in a directory; its history and the best adapter, both empty if there is none.

    `ProtocolError` if it is damaged, or of other work.
    """
    path = directory / _TENSORS
    if not path.exists():
        return [], {}
    try:
        return _restore(directory, load_file(path), model, optimizer)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        if isinstance(error, FHEError):
            raise
        raise ProtocolError(f"The checkpoint in {directory} is damaged: {error}") from error


def stored_work(directory: Path) -> dict[str, Any]:
    """What the state in a directory is of; empty if there is none."""
    path = directory / _TENSORS
    if not path.exists():
        return {}
    try:
        work = json.loads(_metadata(path).get("work", "null"))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise ProtocolError(f"The checkpoint in {directory} is damaged: {error}") from error
    if not isinstance(work, dict):
        raise ProtocolError(
            f"The checkpoint in {directory} does not say what it is of, as those of older releases: use another "
            "checkpoint_dir."
        )
    return work


def check_work(directory: Path, work: Mapping[str, Any]) -> None:
    """A ValueError that names what differs, if the state in a directory is of other work."""
    stored = stored_work(directory)
    if not stored:
        return
    wanted = json.loads(json.dumps(dict(work)))
    names = [name for name in {**wanted, **stored} if stored.get(name) != wanted.get(name)]
    if names:
        told = ", ".join(_difference(name, stored.get(name), wanted.get(name)) for name in names)
        raise ValueError(
            f"checkpoint_dir={str(directory)!r} holds the state of other work, which differs in {told}. Use another "
            "checkpoint_dir, or remove this one to begin anew."
        )


def _difference(name: str, stored: Any, wanted: Any) -> str:
    says_nothing = any(isinstance(value, str) and len(value) > 60 for value in (stored, wanted))  # digests
    return name if says_nothing or name == "random_state" else f"{name} ({stored!r} there, {wanted!r} now)"


def _restore(
    directory: Path, tensors: dict[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer
) -> State:
    parameters = trained_parameters(model)
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    saved, best = _part(tensors, "parameter/"), _part(tensors, "best/")
    if any({name: tuple(value.shape) for name, value in part.items()} != shapes for part in (saved, best or saved)):
        raise ProtocolError(
            f"The checkpoint in {directory} is of another model or other LoRA settings: use another checkpoint_dir."
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
    _restore_optimizer(optimizer, tensors)
    history = json.loads((directory / f"{_HISTORY}.{_step_of(directory / _TENSORS)}").read_text())
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise ProtocolError(f"The checkpoint in {directory} is damaged: its history is no list of steps.")
    return history, {name: value.to(parameters[name].device) for name, value in best.items()}


def _part(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        kind, _, rest = key.partition("/")
        if kind == "optimizer":
            index, _, name = rest.partition("/")
            state.setdefault(int(index), {})[name] = tensor
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _step_of(path: Path) -> int:
    return int(_metadata(path)["step"])


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained: parameters that require gradients."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
