"""Finding a model's linear layers and merging those that share an input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ...exceptions import UnsupportedModelError
from .private_adapters import wrapped_modules


def linear_modules(backbone: nn.Module) -> dict[str, nn.Module]:
    """Linear modules (``nn.Linear``, GPT-2's ``Conv1D``) by their path in the backbone; the head is not among them."""
    private = next(wrapped_modules(backbone), None)
    if private is not None:
        raise UnsupportedModelError(f"{private[0]} has an adapter, which is private and must not reach a worker.")
    found: dict[str, nn.Module] = {
        path: module for path, module in backbone.named_modules() if isinstance(module, (nn.Linear, Conv1D))
    }
    if not found:
        raise UnsupportedModelError(
            f"model ({type(backbone).__name__}) has no nn.Linear or Conv1D layers that workers could compute."
        )
    return found


def find_groups(backbone: nn.Module, n_tokens: int = 4) -> list[list[str]]:
    """Paths of linear modules, those that multiply the very same tensor together; found by running the model once."""
    modules = linear_modules(backbone)
    calls: list[tuple[str, torch.Tensor]] = []
    handles = [
        module.register_forward_pre_hook(lambda _, inputs, path=path: calls.append((path, inputs[0])))
        for path, module in modules.items()
    ]
    parameter = next(backbone.parameters())
    tokens = torch.zeros((1, n_tokens), dtype=torch.long, device=parameter.device)
    try:
        with torch.no_grad():
            backbone(input_ids=tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    called = [path for path, _ in calls]
    missing, repeated = set(modules) - set(called), {path for path in called if called.count(path) > 1}
    if missing or repeated:
        raise UnsupportedModelError(
            "Every linear layer of the model must be used exactly once for every input (no experts, no shared layers); "
            f"these are not: {sorted(missing | repeated)[:5]}."
        )
    groups: list[tuple[torch.Tensor, list[str]]] = []
    for path, tensor in calls:
        if groups and groups[-1][0] is tensor:
            groups[-1][1].append(path)
        else:
            groups.append((tensor, [path]))
    return [paths for _, paths in groups]


def weight_matrix(module: nn.Module) -> torch.Tensor:
    """Weights as (n_outputs, n_inputs)."""
    weight = module.get_parameter("weight").detach()
    return weight.T if isinstance(module, Conv1D) else weight


def group_name(paths: Sequence[str]) -> str:
    """Name of merged layers, such as ``layers.0.self_attn.q_proj+k_proj+v_proj``."""
    return "+".join([paths[0], *(path.rpartition(".")[2] for path in paths[1:])])
