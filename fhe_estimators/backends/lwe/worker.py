"""The worker's half: clear integer weights times ciphertexts. Holds no secrets and learns none."""

from __future__ import annotations

import numpy as np
import torch

from ._limbs import from_limbs, multiply_ciphertexts, multiply_limbs, to_limbs
from ._randomness import public_matrix
from .parameters import LWEParameters

_HINT_LIMBS = 4
#: Columns of the public matrix that are multiplied at a time.
_HINT_CHUNK = 512


def multiply(ciphertexts: torch.Tensor, matrix: torch.Tensor, *, gemm: str = "int8") -> torch.Tensor:
    """Encrypted tokens times a clear matrix: an encryption, under the same secret, of the product.

    Run by the worker; needs no key. Exact modulo 2^24: no noise is added, that of the inputs is multiplied by the
    weights. The worker learns the numbers of tokens and features.

    Parameters
    ----------
    ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
        Ciphertexts of a client.
    matrix : tensor of int8, shape (n_inputs, n_outputs)
    gemm : {"int8", "float64"}, default="int8"

    Returns
    -------
    tensor of int8, shape (n_tokens, 3, n_outputs)
    """
    return multiply_ciphertexts(ciphertexts, matrix, gemm=gemm)


def compute_hint(matrix: torch.Tensor, seed: bytes, parameters: LWEParameters, *, gemm: str = "int8") -> torch.Tensor:
    """The public matrix of a run times the weights, modulo 2^32: what a client unmasks products with.

    Run by the worker, once a layer and run; depends on no data and no secret.

    Parameters
    ----------
    matrix : tensor of int8, shape (n_inputs, n_outputs)
    seed : bytes
        Seed of the public matrix.
    parameters : LWEParameters
    gemm : {"int8", "float64"}, default="int8"

    Returns
    -------
    tensor of int32, shape (n_outputs, rank, ring_degree)
    """
    n_inputs, n_outputs = matrix.shape
    public = torch.from_numpy(public_matrix(seed, parameters, 0, n_inputs).view(np.int32))
    columns = public.reshape(n_inputs, -1)
    hint = torch.empty((n_outputs, columns.shape[1]), dtype=torch.int32)
    for start in range(0, columns.shape[1], _HINT_CHUNK):
        chunk = columns[:, start : start + _HINT_CHUNK].T
        limbs = to_limbs(chunk, _HINT_LIMBS).to(matrix.device)
        hint[:, start : start + _HINT_CHUNK] = from_limbs(multiply_limbs(limbs, matrix, gemm=gemm)).T.to(torch.int32)
    return hint.reshape(n_outputs, parameters.rank, parameters.ring_degree)
