"""Compiled loops of the client: transforms, masks and rounding (CPU; needs numba).

`LANES` polynomials are transformed side by side: every operation of the FFT is one on contiguous vectors, and since a
lane is a feature, the results are where the token-major messages want them.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .._limb_loops import LOOP_OPTIONS, store_limbs
from .sampling_loops import count_ones

__all__ = ["LANES", "count_ones", "decrypt", "encrypt"]

LANES = 16
#: Features that one thread works on at a time; a multiple of `LANES`.
_STRETCH = 96
#: Complex numbers a lane that are transformed before going on: they fit the first-level cache.
_CACHED_LENGTH = 128
#: Added to a double, leaves its nearest integer modulo 2^32 in the lower half of the word.
_ROUNDING = 1.5 * 2.0**52


@njit(**LOOP_OPTIONS)
def _inner_products(spectra, secret, real, imag):
    """Sums over the rank of products of spectra."""
    rank, half = secret.shape[:2]
    for i in range(rank):
        for k in range(half):
            x, y = secret[i, k, 0], secret[i, k, 1]
            for lane in range(LANES):
                a, b = np.float64(spectra[i, k, 0, lane]), np.float64(spectra[i, k, 1, lane])
                if i == 0:
                    real[k, lane] = a * x - b * y
                    imag[k, lane] = a * y + b * x
                else:
                    real[k, lane] += a * x - b * y
                    imag[k, lane] += a * y + b * x


@njit(**LOOP_OPTIONS)
def _two_stages(real, imag, span, twiddles):
    """Two stages of the inverse FFT in one pass over memory: butterflies of span and of twice the span."""
    half = len(real)
    for start in range(0, half, 4 * span):
        for k in range(span):
            c1, s1 = twiddles[2 * span + k, 0], twiddles[2 * span + k, 1]
            c2, s2 = twiddles[4 * span + k, 0], twiddles[4 * span + k, 1]
            i0 = start + k
            i1, i2, i3 = i0 + span, i0 + 2 * span, i0 + 3 * span
            for lane in range(LANES):
                r0, r1, r2, r3 = real[i0, lane], real[i1, lane], real[i2, lane], real[i3, lane]
                m0, m1, m2, m3 = imag[i0, lane], imag[i1, lane], imag[i2, lane], imag[i3, lane]
                r1, m1 = r1 * c1 - m1 * s1, r1 * s1 + m1 * c1
                r3, m3 = r3 * c1 - m3 * s1, r3 * s1 + m3 * c1
                r0, r1, m0, m1 = r0 + r1, r0 - r1, m0 + m1, m0 - m1
                r2, r3, m2, m3 = r2 + r3, r2 - r3, m2 + m3, m2 - m3
                r2, m2 = r2 * c2 - m2 * s2, r2 * s2 + m2 * c2
                r3, m3 = -(r3 * s2 + m3 * c2), r3 * c2 - m3 * s2  # the twiddle is i times the other
                real[i0, lane], imag[i0, lane] = r0 + r2, m0 + m2
                real[i1, lane], imag[i1, lane] = r1 + r3, m1 + m3
                real[i2, lane], imag[i2, lane] = r0 - r2, m0 - m2
                real[i3, lane], imag[i3, lane] = r1 - r3, m1 - m3


@njit(**LOOP_OPTIONS)
def _first_stage(real, imag):
    """The butterflies of span 1, which have no twiddles."""
    for k in range(0, len(real), 2):
        for lane in range(LANES):
            r0, r1, m0, m1 = real[k, lane], real[k + 1, lane], imag[k, lane], imag[k + 1, lane]
            real[k, lane], real[k + 1, lane] = r0 + r1, r0 - r1
            imag[k, lane], imag[k + 1, lane] = m0 + m1, m0 - m1


@njit(**LOOP_OPTIONS)
def _inverse_transform(real, imag, twiddles):
    """The inverse FFT, decimated in time: spectra come in bit-reversed order, coefficients leave in natural order."""
    half = len(real)
    stages = 0
    while (1 << stages) < half:
        stages += 1
    span = 1
    if stages % 2:
        _first_stage(real, imag)
        span = 2
    block = min(half, _CACHED_LENGTH)
    while 4 * span <= block:
        span *= 4
    for start in range(0, half, span):
        inner = 1 + stages % 2
        while inner < span:
            _two_stages(real[start : start + span], imag[start : start + span], inner, twiddles)
            inner *= 4
    while span < half:
        _two_stages(real, imag, span, twiddles)
        span *= 4


@njit(**LOOP_OPTIONS)
def _masks(spectra, secret, twiddles, untwist, masks):
    """Products of polynomials and the secret, modulo 2^32.

    Parameters
    ----------
    spectra : ndarray of float64 or float32, shape (n_groups, rank, half, 2, LANES)
    secret : ndarray of float64, shape (rank, half, 2)
    twiddles, untwist : of `CompiledKernels`
    masks : ndarray of uint32, shape (n_tokens, n_groups * LANES)
        The result: the first coefficients of each product, one a token.
    """
    half, n_tokens = len(untwist), len(masks)
    real, imag = np.empty((half, LANES)), np.empty((half, LANES))
    low, high = real.view(np.uint32), imag.view(np.uint32)
    for group in range(len(spectra)):
        _inner_products(spectra[group], secret, real, imag)
        _inverse_transform(real, imag, twiddles)
        for k in range(half):
            c, s = untwist[k, 0], untwist[k, 1]
            for lane in range(LANES):
                r, m = real[k, lane], imag[k, lane]
                real[k, lane] = (r * c - m * s) + _ROUNDING
                imag[k, lane] = (r * s + m * c) + _ROUNDING
        columns = masks[:, group * LANES : (group + 1) * LANES]
        for k in range(min(half, n_tokens)):
            for lane in range(LANES):
                columns[k, lane] = low[k, 2 * lane]
        for k in range(n_tokens - half):
            for lane in range(LANES):
                columns[half + k, lane] = high[k, 2 * lane]


@njit(**LOOP_OPTIONS)
def _encrypt_stretch(masks, ones, mean_ones, values, scales, shift, ciphertexts):
    n_tokens, n_features = values.shape
    unit, mean_ones = np.int32(1 << shift), np.int32(mean_ones)
    integers = np.empty(n_features, dtype=np.uint32)
    for t in range(n_tokens):
        mask, scale, errors, row = masks[t], scales[t], ones[t], values[t]
        for j in range(n_features):
            message = (np.int32(np.rint(row[j] * scale)) + np.int32(errors[j]) - mean_ones) * unit
            integers[j] = (mask[j] + np.uint32(message) + np.uint32(128)) >> np.uint32(8)
        store_limbs(integers, ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2])


@njit(parallel=True, **LOOP_OPTIONS)
def encrypt(spectra, secret, twiddles, untwist, ones, mean_ones, values, scales, shift, ciphertexts):
    """Encrypt a block of tokens.

    Parameters
    ----------
    spectra, secret, twiddles, untwist : see `_masks`
    ones : ndarray of uint8, shape (n_tokens, n_features)
        From `count_ones`; less ``mean_ones``, they are the noise.
    mean_ones : int
        Half the number of bits.
    values, scales : ndarray of float32, shapes (n_tokens, n_features) and (n_tokens,)
    shift : int
        ``LWEParameters.shift_bits``.
    ciphertexts : ndarray of int8, shape (n_tokens, 3, n_features)
        The result: balanced limbs.
    """
    n_tokens, n_features = values.shape
    for stretch in prange((n_features + _STRETCH - 1) // _STRETCH):
        start, stop = stretch * _STRETCH, min(n_features, (stretch + 1) * _STRETCH)
        groups = spectra[start // LANES : (stop + LANES - 1) // LANES]
        masks = np.empty((n_tokens, len(groups) * LANES), dtype=np.uint32)
        _masks(groups, secret, twiddles, untwist, masks)
        columns = slice(start, stop)
        _encrypt_stretch(
            masks, ones[:, columns], mean_ones, values[:, columns], scales, shift, ciphertexts[:, :, columns]
        )


@njit(**LOOP_OPTIONS)
def _decrypt_stretch(masks, ciphertexts, factors, scales, values):
    n_tokens, n_features = values.shape
    for t in range(n_tokens):
        mask, scale, row = masks[t], scales[t], values[t]
        limb0, limb1, limb2 = ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2]
        for j in range(n_features):
            value = (np.int32(limb2[j]) << 16) + (np.int32(limb1[j]) << 8) + np.int32(limb0[j])
            centred = np.int32((np.uint32(value) << np.uint32(8)) - mask[j])
            row[j] = np.float32(centred) * (factors[j] * scale)


@njit(parallel=True, **LOOP_OPTIONS)
def decrypt(spectra, secret, twiddles, untwist, ciphertexts, factors, scales, values):
    """Decrypt a block of tokens.

    Parameters as in `encrypt`; ``factors`` (n_features,) and ``scales`` (n_tokens,) turn centred integers into floats,
    and ``values`` is the result.
    """
    n_tokens, n_features = values.shape
    for stretch in prange((n_features + _STRETCH - 1) // _STRETCH):
        start, stop = stretch * _STRETCH, min(n_features, (stretch + 1) * _STRETCH)
        groups = spectra[start // LANES : (stop + LANES - 1) // LANES]
        masks = np.empty((n_tokens, len(groups) * LANES), dtype=np.uint32)
        _masks(groups, secret, twiddles, untwist, masks)
        _decrypt_stretch(masks, ciphertexts[:, :, start:stop], factors[start:stop], scales, values[:, start:stop])
