"""Linear modules whose products are computed elsewhere, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Protocol

import torch
from torch import nn

from ...exceptions import NotCompiledError
from .frozen_layer import FrozenLayer
from .tape import kept_product


class Products(Protocol):
    """Who multiplies: in the clear, simulated, or workers on ciphertexts (`products`)."""

    def forward(self, layer: FrozenLayer, inputs: torch.Tensor) -> torch.Tensor:
        """Inputs (n_tokens, n_inputs) times the transposed weights, float32."""

    def backward(self, layer: FrozenLayer, gradients: torch.Tensor) -> torch.Tensor:
        """Gradients (n_tokens, n_outputs) times the weights, float32."""


class _RemoteProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, group: RemoteGroup) -> torch.Tensor:
        ctx.group = group
        layer = group.layer

        def compute() -> torch.Tensor:
            flat = inputs.detach().reshape(-1, layer.n_inputs).to(torch.float32)
            outputs = group.products.forward(layer, flat)
            if layer.outliers is not None:
                outputs = layer.outliers.add_outputs(outputs, flat)
            return outputs.reshape(*inputs.shape[:-1], layer.n_outputs).to(inputs.dtype)

        return kept_product(compute)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (gradient,), layer = gradients, ctx.group.layer
        flat = gradient.reshape(-1, layer.n_outputs).to(torch.float32)
        inputs = ctx.group.products.backward(layer, flat)
        if layer.outliers is not None:
            inputs = layer.outliers.add_gradients(inputs, flat)
        return inputs.reshape(*gradient.shape[:-1], layer.n_inputs).to(gradient.dtype), None


class _NobodyYet:
    """Says what to do if a model is used before it was chosen who multiplies."""

    def forward(self, layer: FrozenLayer, inputs: torch.Tensor) -> torch.Tensor:
        raise NotCompiledError(
            f"Workers hold the weights of {layer.name}, and it was not chosen how to ask them: call predict, score, "
            "perplexity, generate or fit of HELoRAFineTuner, which choose by fhe=."
        )

    backward = forward


class RemoteGroup:
    """Modules that multiply the same input: one upload forward, one download backward for all of them.

    Parameters
    ----------
    layer : FrozenLayer
        Their merged weights.
    n_members : int

    Attributes
    ----------
    products : Products
        Set before use; the same for all groups of a model.
    """

    products: Products = _NobodyYet()

    def __init__(self, layer: FrozenLayer, n_members: int):
        self.layer = layer
        self.n_members = n_members
        self._input: torch.Tensor | None = None
        self._output: torch.Tensor | None = None
        self._waiting = 0

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """All members' outputs side by side; computed for the first member that asks, kept for the others."""
        if self._waiting == 0 or self._input is not inputs:
            self._output = _RemoteProduct.apply(inputs, self)
            self._input, self._waiting = inputs, self.n_members
        output = self._output
        self._waiting -= 1
        if self._waiting == 0:
            self._input = self._output = None
        assert output is not None
        return output

    def __deepcopy__(self, memo: dict[int, Any]) -> RemoteGroup:
        copied = memo[id(self)] = RemoteGroup(deepcopy(self.layer, memo), self.n_members)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        # Who multiplies is chosen before every use, and holds keys and connections; the rest is of one pass.
        kept = {"layer": self.layer, "n_members": self.n_members}
        return {**kept, "_input": None, "_output": None, "_waiting": 0}


class RemoteLinear(nn.Linear):
    """One member of a group, in place of a linear module; it has no weights of its own.

    A subclass of ``nn.Linear`` so that PEFT adds LoRA to it as to any other.

    Parameters
    ----------
    group : RemoteGroup
    start : int
        Its first output in the group's.
    out_features : int
    bias : tensor or None
    transposed : bool, default=False
        It replaces GPT-2's ``Conv1D``, which keeps its weights the other way round.
    """

    def __init__(
        self,
        group: RemoteGroup,
        start: int,
        out_features: int,
        bias: torch.Tensor | None,
        *,
        transposed: bool = False,
    ):
        nn.Module.__init__(self)
        self.transposed = transposed
        self.in_features, self.out_features = group.layer.n_inputs, out_features
        self.group, self.start = group, start
        self.weight = nn.Parameter(torch.empty(0), requires_grad=False)
        own_bias = None if bias is None else nn.Parameter(bias.detach().clone(), requires_grad=False)
        self.register_parameter("bias", own_bias)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        outputs = self.group(input)[..., self.start : self.start + self.out_features]
        return outputs if self.bias is None else outputs + self.bias


class _NoProducts:
    """Zeros, without asking anybody: to see what a model does around its linear layers."""

    def forward(self, layer: FrozenLayer, inputs: torch.Tensor) -> torch.Tensor:
        return inputs.new_zeros((len(inputs), layer.n_outputs))

    def backward(self, layer: FrozenLayer, gradients: torch.Tensor) -> torch.Tensor:
        return gradients.new_zeros((len(gradients), layer.n_inputs))


@contextmanager
def nothing_remote(model: nn.Module) -> Iterator[None]:
    """Have the remote layers of a model return zeros within the context."""
    groups = {id(module.group): module.group for module in model.modules() if isinstance(module, RemoteLinear)}
    before: dict[int, Any] = {key: vars(group).get("products") for key, group in groups.items()}
    for group in groups.values():
        group.products = _NoProducts()
    try:
        yield
    finally:
        for key, group in groups.items():
            if before[key] is None:
                del group.products
            else:
                group.products = before[key]
