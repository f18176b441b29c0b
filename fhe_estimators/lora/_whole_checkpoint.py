"""Quantized weights of a whole checkpoint, for a worker that was not given its part alone."""

from __future__ import annotations

import torch

from ..quantizers.linear import resolve_linear_quantizer
from ._compiled import compile_model
from ._models import CAUSAL_LM, load_model
from ._splitting import remote_groups


def quantized_weights(model: str, weight_quantizer: str) -> dict[str, torch.Tensor]:
    """Weights by layer, the same that a client quantizes the same checkpoint to."""
    compiled = compile_model(load_model(model, CAUSAL_LM), resolve_linear_quantizer(weight_quantizer), n_checks=0)
    weights = {group.layer.name: group.layer.weights for group in remote_groups(compiled)}
    return {name: matrix for name, matrix in weights.items() if matrix is not None}
