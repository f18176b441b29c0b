"""Integers as balanced base-256 digits (limbs), and their exact products by int8 matrix multiplication.

Used by workers (weights times ciphertexts) and by clients (checks of a worker's responses); no secrets here.
"""

from __future__ import annotations

from types import ModuleType

import torch

from ...utils import optional_module
from .parameters import CIPHERTEXT_BITS

CIPHERTEXT_LIMBS = CIPHERTEXT_BITS // 8
_BIAS = {n: sum(0x80 << (8 * k) for k in range(n)) for n in (1, 2, 3, 4)}


def to_limbs(integers: torch.Tensor, n_limbs: int = CIPHERTEXT_LIMBS) -> torch.Tensor:
    """Balanced limbs, least first, of integers modulo ``256 ** n_limbs``.

    Parameters
    ----------
    integers : tensor of int32 or int64, shape (n_rows, n_columns)

    Returns
    -------
    tensor of int8, shape (n_rows, n_limbs, n_columns)
    """
    biased = integers + (_BIAS[n_limbs] - (1 << 32 if _BIAS[n_limbs] >= 1 << 31 else 0))
    digits = [((biased >> (8 * k)) & 0xFF) - 0x80 for k in range(n_limbs)]
    return torch.stack([digit.to(torch.int8) for digit in digits], dim=1)


def from_limbs(limbs: torch.Tensor) -> torch.Tensor:
    """Integers (int64, not reduced) from limbs of shape (n_rows, n_limbs, n_columns), int8 or their int32 products."""
    return sum(limbs[:, k].to(torch.int64) << (8 * k) for k in range(limbs.shape[1]))  # type: ignore[return-value]


def multiply_limbs(limbs: torch.Tensor, matrix: torch.Tensor, *, gemm: str = "int8") -> torch.Tensor:
    """Products of every limb with a matrix, exact.

    Parameters
    ----------
    limbs : tensor of int8, shape (n_rows, n_limbs, n_inner)
    matrix : tensor of int8, shape (n_inner, n_columns)
    gemm : {"int8", "float64"}
        ``"int8"`` accumulates in int32, for ``n_inner`` below 2^17; ``"float64"`` is for devices whose int8 products
        are slow or missing.

    Returns
    -------
    tensor of int32, shape (n_rows, n_limbs, n_columns)
    """
    n_rows, n_limbs, n_inner = limbs.shape
    flat = limbs.reshape(n_rows * n_limbs, n_inner)
    if gemm == "int8":
        product = _int8_product(flat, matrix)
    else:
        product = (flat.to(torch.float64) @ matrix.to(torch.float64)).to(torch.int32)
    return product.reshape(n_rows, n_limbs, -1)


def _int8_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if left.device.type != "cuda":
        return torch._int_mm(left, right)
    # cuBLAS wants multiples of 8, and more than 16 rows.
    rows, columns = left.shape[0], right.shape[1]
    row_padding, inner_padding, column_padding = max(-rows % 8, 24 - rows), -left.shape[1] % 8, -columns % 8
    if row_padding > 0 or inner_padding:
        left = torch.nn.functional.pad(left, (0, inner_padding, 0, max(row_padding, 0)))
    if inner_padding or column_padding:
        right = torch.nn.functional.pad(right, (0, column_padding, 0, inner_padding))
    return torch._int_mm(left, right)[:rows, :columns]


def multiply_ciphertexts(ciphertexts: torch.Tensor, matrix: torch.Tensor, *, gemm: str = "int8") -> torch.Tensor:
    """Product modulo 2^24 of integers in limbs with a matrix, in limbs.

    Parameters
    ----------
    ciphertexts : tensor of int8, shape (n_tokens, 3, n_inner)
    matrix : tensor of int8, shape (n_inner, n_columns)
    gemm : {"int8", "float64"}

    Returns
    -------
    tensor of int8, shape (n_tokens, 3, n_columns)
    """
    products = multiply_limbs(ciphertexts, matrix, gemm=gemm)
    loops = compiled_loops(products.device)
    if loops is None:
        return to_limbs(from_limbs(products))
    result = torch.empty(products.shape, dtype=torch.int8)
    loops.combine_limbs(products.numpy(), result.numpy())
    return result


def compiled_loops(device: torch.device) -> ModuleType | None:
    """The module of compiled loops, or None: on another device than the CPU, and without numba."""
    if device.type != "cpu":
        return None
    return optional_module("fhe_estimators.backends.lwe._limb_loops", requires="numba")
