"""Integer weights of a layer: what workers hold."""

from __future__ import annotations

import hashlib

import torch

FORWARD, BACKWARD = "forward", "backward"
DIRECTIONS = (FORWARD, BACKWARD)


def oriented(weights: torch.Tensor, direction: str) -> torch.Tensor:
    """The matrix that rows are multiplied by in a direction, shape (n_inputs, n_outputs) of that direction.

    Parameters
    ----------
    weights : tensor of int8, shape (n_outputs, n_inputs)
    direction : {"forward", "backward"}
    """
    return weights.T if direction == FORWARD else weights


def weights_digest(weights: torch.Tensor) -> str:
    """SHA-256 of integer weights and their shape, which client and workers compare."""
    digest = hashlib.sha256(f"int8 {tuple(weights.shape)}".encode())
    digest.update(weights.contiguous().numpy().data)
    return digest.hexdigest()
