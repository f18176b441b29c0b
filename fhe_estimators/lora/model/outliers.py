"""Columns of weights that are far larger than the others: rounded together with them, they would ruin all others.

As in T. Dettmers, M. Lewis, Y. Belkada and L. Zettlemoyer, "LLM.int8(): 8-bit matrix multiplication for transformers at
scale", 2022, they are taken out and multiplied in floating point, here by the client. Client and workers find the same
ones, from the weights alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...quantizers.linear import LinearQuantizer

#: Errors of a layer above which `compile` warns.
WARNED_ERROR = 0.05
#: Layers with a smaller error are left as they are.
_SPLIT_ERROR = 0.025
#: Columns that are so many times larger than what is typical of their rows are taken out ...
_OUTLIER = 6.0
#: ... but no more than this share of them.
_MAX_SHARE = 1 / 32
#: The median of the absolute value of a normal variable of variance 1.
_NORMAL_MEDIAN = 0.6745
#: Columns that typical weights are taken from.
_N_SAMPLED = 1024


@dataclass(frozen=True)
class RoundedWeights:
    """Weights of a layer as integers, and what was taken out of them.

    Parameters
    ----------
    integers : tensor of int8, shape (n_limbs * n_outputs, n_inputs)
        Zero in the columns that were taken out.
    scales : tensor of float32, shape (n_limbs * n_outputs,)
    columns : tensor of int64, shape (n_outliers,)
        Inputs whose weights were taken out, in ascending order.
    outliers : tensor of float32, shape (n_outputs, n_outliers)
        Their weights.
    error : float
        What rounding changes, relative to typical weights of each row: the root of the mean square.
    """

    integers: torch.Tensor
    scales: torch.Tensor
    columns: torch.Tensor
    outliers: torch.Tensor
    error: float


def round_weights(weights: torch.Tensor, quantizer: LinearQuantizer) -> RoundedWeights:
    """Round weights of shape (n_outputs, n_inputs), less the columns that would spoil the rest."""
    weights = weights.detach().to(torch.float32)
    integers, scales = quantizer.quantize_weights(weights)
    typical = _typical_of_rows(weights)
    error = _error(weights, integers, scales, typical)
    columns = torch.empty(0, dtype=torch.int64)
    if error > _SPLIT_ERROR:
        columns = _outlier_columns(weights, typical)
    outliers = weights[:, columns].clone()
    if len(columns):
        rest = weights.clone()
        rest[:, columns] = 0
        integers, scales = quantizer.quantize_weights(rest)
        error = _error(rest, integers, scales, typical)
    return RoundedWeights(integers, scales, columns, outliers, error)


def _typical_of_rows(weights: torch.Tensor) -> torch.Tensor:
    """The size of most weights of each row, whatever a few of them are; 0 for rows of zeros."""
    sampled = weights[:, :: -(-weights.shape[1] // _N_SAMPLED)].abs()
    typical = sampled.median(dim=1).values / _NORMAL_MEDIAN
    return torch.where(typical > 0, typical, weights.square().mean(dim=1).sqrt())  # rows that are mostly zero


def _error(weights: torch.Tensor, integers: torch.Tensor, scales: torch.Tensor, typical: torch.Tensor) -> float:
    there = typical > 0
    if not there.any():
        return 0.0
    rounded = (integers.float() * scales[:, None]).reshape(-1, *weights.shape).sum(dim=0)
    squares = (rounded - weights).square().mean(dim=1)[there] / typical[there].square()
    return float(squares.mean().sqrt())


def _outlier_columns(weights: torch.Tensor, typical: torch.Tensor) -> torch.Tensor:
    there = typical > 0
    sizes = (weights[there] / typical[there, None]).square().mean(dim=0).sqrt()
    n_most = max(1, int(weights.shape[1] * _MAX_SHARE))
    largest = sizes.argsort(descending=True, stable=True)[:n_most]
    return largest[sizes[largest] > _OUTLIER].sort().values
