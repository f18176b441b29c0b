"""Integers as balanced base-256 digits (limbs), which is how ciphertexts are sent; no secrets here."""

from __future__ import annotations

from types import ModuleType

import numpy as np
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


def to_ciphertexts(words: torch.Tensor) -> torch.Tensor:
    """`to_limbs` of words of int32, modulo 2^24, compiled where it can be."""
    loops = compiled_loops(words.device)
    if loops is None:
        return to_limbs(words)
    ciphertexts = torch.empty((len(words), CIPHERTEXT_LIMBS, words.shape[1]), dtype=torch.int8)
    loops.words_to_limbs(words.contiguous().numpy().view(np.uint32), ciphertexts.numpy())
    return ciphertexts


def to_words(ciphertexts: torch.Tensor) -> torch.Tensor:
    """Integers of int32, shape (n_tokens, n_features), from ciphertexts; compiled where it can be."""
    loops = compiled_loops(ciphertexts.device)
    if loops is None:
        return from_limbs(ciphertexts).to(torch.int32)
    words = torch.empty((len(ciphertexts), ciphertexts.shape[2]), dtype=torch.int32)
    loops.limbs_to_words(ciphertexts.contiguous().numpy(), words.numpy())
    return words


def compiled_loops(device: torch.device, module: str = "_limb_loops") -> ModuleType | None:
    """A module of compiled loops, or None: on another device than the CPU, and without numba.

    The loops run in as many threads as PyTorch does: numba alone would count processors, whatever a caller set.
    """
    loops = optional_module(f"fhe_estimators.backends.lwe.{module}", requires="numba") if device.type == "cpu" else None
    if loops is not None:
        import numba

        limit = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        numba.set_num_threads(min(torch.get_num_threads(), limit))
    return loops
