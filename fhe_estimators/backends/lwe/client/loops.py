"""Compiled loops of the client: encryption and decryption of blocks of tokens (CPU; needs numba).

All arithmetic is on words of 32 bits; every step says so, because numba widens sums of them to 64 bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .._limb_loops import LOOP_OPTIONS
from .sampling_loops import count_ones
from .spectra_loops import compute_spectra
from .transform_loops import LANES, compute_masks
from .vectors import WIDTH, fill, load, store

__all__ = ["LANES", "compute_masks", "compute_spectra", "count_ones", "decrypt", "encrypt", "measure_lengths"]

#: Features that one thread works on at a time: whole cache lines of ciphertexts, which no two threads share.
_STRETCH = 64


@njit(parallel=True, **LOOP_OPTIONS)
def measure_lengths(values, lengths):
    """Euclidean norms of rows, summed in double precision.

    Parameters
    ----------
    values : ndarray of float32, shape (n_tokens, n_features)
        Contiguous.
    lengths : ndarray of float64, shape (n_tokens,)
        The result.
    """
    n_tokens, n_features = values.shape
    for t in prange(n_tokens):
        row, sums = values[t], np.empty(WIDTH)
        stop = n_features // WIDTH * WIDTH
        squares = fill(0.0)
        for j in range(0, stop, WIDTH):
            eight = load(row, j)
            squares = squares + eight * eight
        store(sums, 0, squares)
        total = sums.sum()
        for j in range(stop, n_features):
            total += np.float64(row[j]) * np.float64(row[j])
        lengths[t] = np.sqrt(total)


@njit(**LOOP_OPTIONS)
def _encrypt_stretch(masks, ones, mean_ones, values, scales, shift, columns, ciphertexts):
    start, stop = columns
    n_features = stop - start
    unit, half = np.uint32(1 << shift), np.uint32(128)
    offset = np.uint32(half - np.uint32(mean_ones) * unit)
    bias = np.uint32(0x808080)  # half of 256 in each of three digits
    words = np.empty(n_features, dtype=np.uint32)
    digits = words.view(np.int8)
    for t in range(len(values)):
        mask, scale, counts, row = masks[t], scales[t], ones[t, start:stop], values[t, start:stop]
        limb0, limb1, limb2 = (
            ciphertexts[t, 0, start:stop],
            ciphertexts[t, 1, start:stop],
            ciphertexts[t, 2, start:stop],
        )
        for j in range(n_features):
            message = np.uint32(np.int32(np.rint(row[j] * scale)) + np.int32(counts[j]))
            word = np.uint32(message * unit + mask[j] + offset)
            words[j] = np.uint32((word >> np.uint32(8)) + bias) ^ bias
        for j in range(n_features):  # a loop each, or they are not vectorized
            limb0[j] = digits[4 * j]
        for j in range(n_features):
            limb1[j] = digits[4 * j + 1]
        for j in range(n_features):
            limb2[j] = digits[4 * j + 2]


@njit(parallel=True, **LOOP_OPTIONS)
def encrypt(spectra, secret, twiddles, untwist, ones, mean_ones, values, scales, shift, ciphertexts):
    """Encrypt a block of tokens.

    Parameters
    ----------
    spectra, secret, twiddles, untwist : ndarrays
        See `compute_masks`.
    ones : ndarray of uint8, shape (n_tokens, n_features)
        From `count_ones`; less ``mean_ones``, they are the noise.
    mean_ones : int
        Half the number of bits.
    values, scales : ndarrays of float32, shapes (n_tokens, n_features) and (n_tokens,)
        Messages are their products, rounded.
    shift : int
        ``LWEParameters.shift_bits``.
    ciphertexts : ndarray of int8, shape (n_tokens, 3, n_features)
        The result: balanced limbs.
    """
    n_tokens, n_features = values.shape
    for stretch in prange((n_features + _STRETCH - 1) // _STRETCH):
        start, stop = stretch * _STRETCH, min(n_features, (stretch + 1) * _STRETCH)
        groups = start // LANES, (stop + LANES - 1) // LANES
        masks = np.empty((n_tokens, _STRETCH), dtype=np.uint32)
        compute_masks(spectra, groups, secret, twiddles, untwist, masks)
        _encrypt_stretch(masks, ones, mean_ones, values, scales, shift, (start, stop), ciphertexts)


@njit(**LOOP_OPTIONS)
def _decrypt_stretch(masks, ciphertexts, factors, scales, columns, values):
    start, stop = columns
    factors, n_limbs = factors[start:stop], ciphertexts.shape[1]
    for t in range(len(values)):
        mask, scale, row = masks[t], scales[t], values[t, start:stop]
        limb1, limb2 = ciphertexts[t, n_limbs - 2, start:stop], ciphertexts[t, n_limbs - 1, start:stop]
        if n_limbs == 2:
            for j in range(stop - start):
                upper = (np.int32(limb2[j]) << np.int32(24)) + (np.int32(limb1[j]) << np.int32(16))
                row[j] = np.float32(np.int32(upper - np.int32(mask[j]))) * (factors[j] * scale)
            continue
        limb0 = ciphertexts[t, 0, start:stop]
        for j in range(stop - start):
            upper = (np.int32(limb2[j]) << np.int32(24)) + (np.int32(limb1[j]) << np.int32(16))
            centred = np.int32(upper + (np.int32(limb0[j]) << np.int32(8)) - np.int32(mask[j]))
            row[j] = np.float32(centred) * (factors[j] * scale)


@njit(parallel=True, **LOOP_OPTIONS)
def decrypt(spectra, secret, twiddles, untwist, ciphertexts, factors, scales, values):
    """Decrypt a block of tokens.

    Parameters
    ----------
    spectra, secret, twiddles, untwist : ndarrays
        See `compute_masks`.
    ciphertexts : ndarray of int8, shape (n_tokens, 3 or 2, n_features)
        Balanced limbs, or the upper two.
    factors, scales : ndarrays of float32, shapes (n_features,) and (n_tokens,)
        What centred integers are multiplied by.
    values : ndarray of float32, shape (n_tokens, n_features)
        The result.
    """
    n_tokens, n_features = values.shape
    for stretch in prange((n_features + _STRETCH - 1) // _STRETCH):
        start, stop = stretch * _STRETCH, min(n_features, (stretch + 1) * _STRETCH)
        groups = start // LANES, (stop + LANES - 1) // LANES
        masks = np.empty((n_tokens, _STRETCH), dtype=np.uint32)
        compute_masks(spectra, groups, secret, twiddles, untwist, masks)
        _decrypt_stretch(masks, ciphertexts, factors, scales, (start, stop), values)
