"""Frozen linear layers as the client knows them."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import Any

import torch

from ...backends.lwe import WeightNorms
from ...quantizers.linear import LinearQuantizer
from ..model.outliers import round_weights
from ..model.weights import DIRECTIONS, oriented, weights_digest
from .layer_checks import FreshChecks, LayerChecks


@dataclass(frozen=True)
class Outliers:
    """Columns of a layer's weights that the client multiplies itself, in floating point.

    Parameters
    ----------
    columns : tensor of int64, shape (n_outliers,)
    weights : tensor of float32, shape (n_outputs, n_outliers)
    """

    columns: torch.Tensor
    weights: torch.Tensor

    def add_outputs(self, outputs: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Outputs (n_tokens, n_outputs) with what these columns make of inputs (n_tokens, n_inputs)."""
        return torch.addmm(outputs, inputs[:, self.columns.to(inputs.device)], self.weights.to(inputs.device).T)

    def add_gradients(self, inputs: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
        """Gradients of inputs (n_tokens, n_inputs) with what these columns make of those of outputs."""
        columns = self.columns.to(inputs.device)
        return inputs.index_add(1, columns, gradients @ self.weights.to(gradients.device))


@dataclass
class FrozenLayer:
    """A linear layer, or several that share an input, merged: the client's view.

    Parameters
    ----------
    name : str
    n_inputs, n_outputs : int
    scales : tensor of float32, shape (n_limbs * n_outputs,)
    digest : str
        The digest of the weights that workers must hold.
    norms : dict of str to WeightNorms
        The norms of the weights, by direction.
    quantizer : LinearQuantizer
    weights : tensor of int8, shape (n_limbs * n_outputs, n_inputs), or None
        None where only workers hold them.
    checks : LayerChecks or None
        None if responses are not verified. Secret, and in no pickle.
    static_largest : float or None
        Largest input seen in calibration.
    outliers : Outliers or None
        Weights that are not among the integers.
    rounding_error : float
        What rounding changes, relative to typical weights.
    """

    name: str
    n_inputs: int
    n_outputs: int
    scales: torch.Tensor
    digest: str
    norms: dict[str, WeightNorms]
    quantizer: LinearQuantizer
    weights: torch.Tensor | None = None
    checks: LayerChecks | None = field(default=None, repr=False)
    static_largest: float | None = None
    outliers: Outliers | None = None
    rounding_error: float = 0.0

    @classmethod
    def quantized(cls, name: str, weights: torch.Tensor, quantizer: LinearQuantizer) -> FrozenLayer:
        """Quantize weights of shape (n_outputs, n_inputs)."""
        rounded = round_weights(weights, quantizer)
        integers = rounded.integers
        return cls(
            name=name,
            n_inputs=weights.shape[1],
            n_outputs=weights.shape[0],
            scales=rounded.scales,
            digest=weights_digest(integers),
            norms={direction: WeightNorms.of(oriented(integers, direction)) for direction in DIRECTIONS},
            quantizer=quantizer,
            weights=integers,
            outliers=Outliers(rounded.columns, rounded.outliers) if len(rounded.columns) else None,
            rounding_error=rounded.error,
        )

    def add_checks(self, verify_bits: int) -> None:
        """Have responses checked by secret vectors that are made from the weights."""
        assert self.weights is not None
        self.checks = FreshChecks(self.weights, verify_bits)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenLayer:
        copied = memo[id(self)] = copy(self)  # weights and checks never change: copies share them
        return copied

    def merge_limbs(self, outputs: torch.Tensor) -> torch.Tensor:
        """Outputs from those of the limbs, shape (n_tokens, n_outputs)."""
        if self.quantizer.n_limbs == 1:
            return outputs
        return outputs.reshape(len(outputs), self.quantizer.n_limbs, self.n_outputs).sum(dim=1)

    def scaled_gradients(self, gradients: torch.Tensor) -> torch.Tensor:
        """What the integer weights are multiplied by in the backward direction."""
        return gradients.repeat(1, self.quantizer.n_limbs) * self.scales
