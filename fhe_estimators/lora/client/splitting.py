"""Taking a model's linear layers out, and putting remote ones in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ...quantizers.linear import LinearQuantizer
from ..model.groups import group_name, weight_matrix
from .frozen_layer import FrozenLayer
from .remote_linear import RemoteGroup, RemoteLinear


@dataclass(frozen=True)
class Member:
    """A linear module of the model."""

    path: str
    n_outputs: int
    bias: torch.Tensor | None
    transposed: bool = False


def take_out(backbone: nn.Module, paths: Sequence[str], quantizer: LinearQuantizer) -> FrozenLayer:
    """Quantize the merged weights of modules and put remote modules in their place."""
    modules = [backbone.get_submodule(path) for path in paths]
    matrices = [weight_matrix(module) for module in modules]
    layer = FrozenLayer.quantized(group_name(paths), torch.cat(matrices), quantizer)
    members = [
        Member(path, len(matrix), module.bias, isinstance(module, Conv1D))  # type: ignore[arg-type]
        for path, matrix, module in zip(paths, matrices, modules, strict=True)
    ]
    put_in(backbone, layer, members)
    return layer


def put_in(backbone: nn.Module, layer: FrozenLayer, members: Sequence[Member]) -> RemoteGroup:
    """Replace modules by the members of a group."""
    group, start = RemoteGroup(layer, len(members)), 0
    for member in members:
        parent, _, name = member.path.rpartition(".")
        remote = RemoteLinear(group, start, member.n_outputs, member.bias, transposed=member.transposed)
        setattr(backbone.get_submodule(parent), name, remote)
        start += member.n_outputs
    return group


def remote_groups(model: nn.Module) -> list[RemoteGroup]:
    """Groups of a model whose layers were taken out, in order."""
    groups = {id(module.group): module.group for module in model.modules() if isinstance(module, RemoteLinear)}
    return list(groups.values())


def frozen_layers(model: nn.Module) -> list[FrozenLayer]:
    """Layers of a model whose layers were taken out, in order."""
    return [group.layer for group in remote_groups(model)]
