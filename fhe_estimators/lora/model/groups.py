"""Finding a model's linear layers and merging those that share an input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from ...exceptions import UnsupportedModelError
from .private_adapters import wrapped_modules


def linear_modules(backbone: nn.Module, kept: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Linear modules (``nn.Linear``, GPT-2's ``Conv1D``) by their path in the backbone; the head is not among them.

    Experts are left out, since which of them are used depends on the text, and so are the parts named in ``kept``.
    """
    private = next(wrapped_modules(backbone), None)
    if private is not None:
        raise UnsupportedModelError(f"{private[0]} has an adapter, which is private and must not reach a worker.")
    found: dict[str, nn.Module] = {
        path: module
        for path, module in backbone.named_modules()
        if isinstance(module, (nn.Linear, Conv1D)) and ".experts." not in path and path.split(".")[0] not in kept
    }
    if not found:
        raise UnsupportedModelError(
            f"model ({type(backbone).__name__}) has no nn.Linear or Conv1D layers that workers could compute."
        )
    names = [path for path, module in backbone.named_modules(remove_duplicate=False) if module in found.values()]
    shared = sorted(set(names) - set(found))
    if shared:
        raise UnsupportedModelError(f"Linear layers must be used under one name; these have several: {shared[:5]}.")
    return found


def find_groups(backbone: nn.Module, kept: Sequence[str] = (), n_tokens: int = 4) -> list[list[str]]:
    """Paths of linear modules, those that multiply the very same tensors together; found by running the model once.

    A layer may be used several times, as in ALBERT. ``kept`` are parts of the backbone that stay as they are.
    """
    modules = linear_modules(backbone, kept)
    inputs: dict[str, list[torch.Tensor]] = {path: [] for path in modules}
    called: list[str] = []

    def record(path: str, tensor: torch.Tensor) -> None:
        inputs[path].append(tensor)  # kept alive, so that identities stay unique
        if path not in called:
            called.append(path)

    handles = [
        module.register_forward_pre_hook(lambda _, arguments, path=path: record(path, arguments[0]))
        for path, module in modules.items()
    ]
    parameter = next(backbone.parameters())
    tokens = torch.zeros((1, n_tokens), dtype=torch.long, device=parameter.device)
    try:
        with torch.no_grad():
            backbone(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    missing = sorted(set(modules) - set(called))
    if missing:
        raise UnsupportedModelError(f"Every linear layer of the model must be used; these are not: {missing[:5]}.")
    groups: list[list[str]] = []
    for path in called:
        if groups and _same(inputs[groups[-1][0]], inputs[path]):
            groups[-1].append(path)
        else:
            groups.append([path])
    return groups


def _same(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
    return len(first) == len(second) and all(a is b for a, b in zip(first, second, strict=True))


def weight_matrix(module: nn.Module) -> torch.Tensor:
    """Weights as (n_outputs, n_inputs)."""
    weight = module.get_parameter("weight").detach()
    return weight.T if isinstance(module, Conv1D) else weight


def group_name(paths: Sequence[str]) -> str:
    """Name of merged layers, such as ``layers.0.self_attn.q_proj+k_proj+v_proj``."""
    return "+".join([paths[0], *(path.rpartition(".")[2] for path in paths[1:])])
