"""The worker's half: clear integer weights times ciphertexts. Holds no secrets and learns none."""

from __future__ import annotations

import numpy as np
import torch

from ._randomness import public_matrix
from .parameters import CIPHERTEXT_BITS, LWEParameters, check_download_bits
from .product_choice import choose_product

#: Columns of the public matrix that are multiplied at a time.
_HINT_CHUNK = 512


def multiply(
    ciphertexts: torch.Tensor, matrix: torch.Tensor, *, product: str = "auto", download_bits: int = CIPHERTEXT_BITS
) -> torch.Tensor:
    """Encrypted tokens times a clear matrix: an encryption, under the same secret, of the product.

    Run by the worker; needs no key. Exact modulo 2^24: no noise is added, that of the inputs is multiplied by the
    weights. The worker learns the numbers of tokens and features.

    Parameters
    ----------
    ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
        Ciphertexts of a client.
    matrix : tensor of int8, shape (n_inputs, n_outputs)
    product : {"auto", "int8", "int16", "float64", "float32"}, default="auto"
        The way to multiply integers, see `LWEBackend`; the result is the same.
    download_bits : {24, 16}, default=24
        With 16, the lowest limb is left out, which rounds the result to multiples of 256 (limbs are balanced).

    Returns
    -------
    tensor of int8, shape (n_tokens, download_bits / 8, n_outputs)
    """
    response = choose_product(matrix.device, len(ciphertexts), product).ciphertexts(ciphertexts, matrix)
    return response[:, (CIPHERTEXT_BITS - check_download_bits(download_bits)) // 8 :]


def compute_hint(
    matrix: torch.Tensor, seed: bytes, parameters: LWEParameters, *, product: str = "auto"
) -> torch.Tensor:
    """The public matrix of a run times the weights, modulo 2^32: what a client unmasks products with.

    Run by the worker, once a layer and run; depends on no data and no secret.

    Parameters
    ----------
    matrix : tensor of int8, shape (n_inputs, n_outputs)
    seed : bytes
        Seed of the public matrix.
    parameters : LWEParameters
    product : {"auto", "int8", "int16", "float64", "float32"}, default="auto"
        The way to multiply integers, see `LWEBackend`; the result is the same.

    Returns
    -------
    tensor of int32, shape (n_outputs, rank, ring_degree)
    """
    n_inputs, n_outputs = matrix.shape
    public = torch.from_numpy(public_matrix(seed, parameters, 0, n_inputs).view(np.int32))
    columns = public.reshape(n_inputs, -1)
    exact_product = choose_product(matrix.device, _HINT_CHUNK, product)
    hint = torch.empty((n_outputs, columns.shape[1]), dtype=torch.int32)
    for start in range(0, columns.shape[1], _HINT_CHUNK):
        chunk = columns[:, start : start + _HINT_CHUNK].T.to(matrix.device)
        hint[:, start : start + _HINT_CHUNK] = exact_product.of_words(chunk, matrix).T
    return hint.reshape(n_outputs, parameters.rank, parameters.ring_degree)
