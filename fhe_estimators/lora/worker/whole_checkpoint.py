"""Quantized weights of a whole checkpoint, for a worker that was not given its part alone."""

from __future__ import annotations

import torch

from ...quantizers.linear import resolve_linear_quantizer
from ..model.groups import find_groups, group_name, weight_matrix
from ..model.loading import load_pretrained
from ..model.outliers import round_weights


def quantized_weights(model: str, weight_quantizer: str) -> dict[str, torch.Tensor]:
    """Weights by layer, the same that a client quantizes the same checkpoint to."""
    backbone = load_pretrained(model).float().eval().base_model
    quantizer = resolve_linear_quantizer(weight_quantizer)
    weights = {}
    for paths in find_groups(backbone):
        merged = torch.cat([weight_matrix(backbone.get_submodule(path)) for path in paths])
        weights[group_name(paths)] = round_weights(merged, quantizer).integers
    return weights
