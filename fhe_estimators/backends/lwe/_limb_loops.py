"""Compiled loops over limbs, for the worker and the client (CPU; needs numba)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

LOOP_OPTIONS: dict[str, Any] = {"nogil": True, "cache": True, "fastmath": {"contract"}, "error_model": "numpy"}


@njit(**LOOP_OPTIONS)
def store_limbs(integers, limb0, limb1, limb2):
    """Balanced limbs of integers modulo 2^24; a loop each, or they are not vectorized."""
    bias, flip = np.uint32(0x808080), np.uint8(128)
    for j in range(len(integers)):
        limb0[j] = np.int8(np.uint8(integers[j] + bias) ^ flip)
    for j in range(len(integers)):
        limb1[j] = np.int8(np.uint8((integers[j] + bias) >> np.uint32(8)) ^ flip)
    for j in range(len(integers)):
        limb2[j] = np.int8(np.uint8((integers[j] + bias) >> np.uint32(16)) ^ flip)


@njit(parallel=True, **LOOP_OPTIONS)
def combine_limbs(products, ciphertexts):
    """Integers from products of limbs, modulo 2^24, as balanced limbs again (worker).

    Parameters
    ----------
    products : ndarray of int32, shape (n_tokens, 3, n_features)
    ciphertexts : ndarray of int8, same shape
        The result.
    """
    n_tokens, _, n_features = products.shape
    for t in prange(n_tokens):
        product0, product1, product2 = products[t, 0], products[t, 1], products[t, 2]
        integers = np.empty(n_features, dtype=np.uint32)
        for j in range(n_features):
            integers[j] = np.uint32(product0[j] + (product1[j] << np.int32(8)) + (product2[j] << np.int32(16)))
        store_limbs(integers, ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2])


@njit(parallel=True, **LOOP_OPTIONS)
def words_to_limbs(words, ciphertexts):
    """Balanced limbs, int8 of shape (n_tokens, 3, n_features), of words of uint32, modulo 2^24."""
    for t in prange(len(words)):
        store_limbs(words[t], ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2])


@njit(parallel=True, **LOOP_OPTIONS)
def limbs_to_words(ciphertexts, words):
    """The inverse of `words_to_limbs`: words of int32, shape (n_tokens, n_features), from 24 bits."""
    n_tokens, _, n_features = ciphertexts.shape
    for t in prange(n_tokens):
        limb0, limb1, limb2, row = ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2], words[t]
        for j in range(n_features):
            row[j] = (np.int32(limb2[j]) << 16) + (np.int32(limb1[j]) << 8) + np.int32(limb0[j])
