"""Compiled transforms of the client: products of polynomials and the secret (CPU; needs numba).

`LANES` polynomials, which are features, are transformed side by side: every operation of the FFT is one on vectors, and
the results are where the token-major messages want them. Row k of an array of lanes holds coefficient k of them all.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .._limb_loops import LOOP_OPTIONS
from .vectors import WIDTH, fill, load, store

LANES = 16
#: Added to a double, leaves its nearest integer modulo 2^32 in the lower half of the word.
_ROUNDING = 1.5 * 2.0**52


@njit(**LOOP_OPTIONS)
def _inner_products(spectra, group, secret, first, stop, real, imag):
    """Rows of sums over the rank of products of a group's spectra and the secret's."""
    rank, half = secret.shape[:2]
    polynomial = half * 2 * LANES
    for k in range(first, stop):
        for lane in range(0, LANES, WIDTH):
            start = group * rank * polynomial + k * 2 * LANES + lane
            sum_real = sum_imag = fill(0.0)
            for i in range(rank):
                x, y = fill(secret[i, k, 0]), fill(secret[i, k, 1])
                a, b = load(spectra, start), load(spectra, start + LANES)
                sum_real, sum_imag = sum_real + a * x - b * y, sum_imag + a * y + b * x
                start += polynomial
            store(real, k * LANES + lane, sum_real)
            store(imag, k * LANES + lane, sum_imag)


@njit(**LOOP_OPTIONS)
def _first_stage(real, imag, first, stop):
    """The butterflies of span 1, which have no twiddles."""
    for i in range(first * LANES, stop * LANES, 2 * LANES):
        for j in range(i, i + LANES, WIDTH):
            r0, r1, m0, m1 = load(real, j), load(real, j + LANES), load(imag, j), load(imag, j + LANES)
            store(real, j, r0 + r1)
            store(real, j + LANES, r0 - r1)
            store(imag, j, m0 + m1)
            store(imag, j + LANES, m0 - m1)


@njit(**LOOP_OPTIONS)
def _butterfly(real, imag, j, step, twiddles, k):
    """Four complex numbers ``step`` apart, through two stages of the inverse FFT."""
    c1, s1, c2, s2 = fill(twiddles[k, 0]), fill(twiddles[k, 1]), fill(twiddles[k, 2]), fill(twiddles[k, 3])
    c3, s3 = fill(twiddles[k, 4]), fill(twiddles[k, 5])
    r0, r1, r2, r3 = load(real, j), load(real, j + step), load(real, j + 2 * step), load(real, j + 3 * step)
    m0, m1, m2, m3 = load(imag, j), load(imag, j + step), load(imag, j + 2 * step), load(imag, j + 3 * step)
    r1, m1 = r1 * c2 - m1 * s2, r1 * s2 + m1 * c2  # bit-reversed: the second quarter has the twiddle's square
    r2, m2 = r2 * c1 - m2 * s1, r2 * s1 + m2 * c1
    r3, m3 = r3 * c3 - m3 * s3, r3 * s3 + m3 * c3
    r0, r1, m0, m1 = r0 + r1, r0 - r1, m0 + m1, m0 - m1
    r2, r3, m2, m3 = r2 + r3, r2 - r3, m2 + m3, m2 - m3
    return (r0 + r2, r1 - m3, r0 - r2, r1 + m3), (m0 + m2, m1 + r3, m0 - m2, m1 - r3)


@njit(**LOOP_OPTIONS)
def _two_stages(real, imag, first, stop, span, twiddles):
    """Two stages in one pass over memory: butterflies of span and of twice the span."""
    step = span * LANES
    for start in range(first, stop, 4 * span):
        for k in range(span):
            for j in range((start + k) * LANES, (start + k + 1) * LANES, WIDTH):
                r, m = _butterfly(real, imag, j, step, twiddles, k)
                store(real, j, r[0])
                store(imag, j, m[0])
                store(real, j + step, r[1])
                store(imag, j + step, m[1])
                store(real, j + 2 * step, r[2])
                store(imag, j + 2 * step, m[2])
                store(real, j + 3 * step, r[3])
                store(imag, j + 3 * step, m[3])


@njit(**LOOP_OPTIONS)
def _store_coefficients(masks, shape, k, column, r, m, untwist):
    """Round complex number k, untwisted, to two coefficients of the product, if there are tokens for them."""
    half = len(untwist)
    n_tokens, width = shape
    c, s, rounding = fill(untwist[k, 0]), fill(untwist[k, 1]), fill(_ROUNDING)
    if k < n_tokens:
        store(masks, k * width + column, (r * c - m * s) + rounding)
    if half + k < n_tokens:
        store(masks, (half + k) * width + column, (r * s + m * c) + rounding)


@njit(**LOOP_OPTIONS)
def _last_stages(real, imag, twiddles, untwist, masks, shape, column):
    """The last two stages, untwisting and rounding, in one pass."""
    span = len(untwist) // 4
    for k in range(span):
        for lane in range(0, LANES, WIDTH):
            r, m = _butterfly(real, imag, k * LANES + lane, span * LANES, twiddles, k)
            _store_coefficients(masks, shape, k, column + lane, r[0], m[0], untwist)
            _store_coefficients(masks, shape, k + span, column + lane, r[1], m[1], untwist)
            _store_coefficients(masks, shape, k + 2 * span, column + lane, r[2], m[2], untwist)
            _store_coefficients(masks, shape, k + 3 * span, column + lane, r[3], m[3], untwist)


@njit(**LOOP_OPTIONS)
def _small_transform(real, imag, untwist, masks, shape, column):
    """The inverse FFT of one or two complex numbers, untwisting and rounding."""
    half = len(untwist)
    if half == 2:
        _first_stage(real, imag, 0, 2)
    for k in range(half):
        for lane in range(0, LANES, WIDTH):
            j = k * LANES + lane
            _store_coefficients(masks, shape, k, column + lane, load(real, j), load(imag, j), untwist)


@njit(**LOOP_OPTIONS)
def _transform_quarter(real, imag, first, stop, twiddles):
    """All stages within a quarter of the numbers, which the first-level cache holds; returns rows of twiddles used."""
    length, span, used = stop - first, 1, 0
    n_stages = 0
    while (1 << n_stages) < length:
        n_stages += 1
    if n_stages % 2:
        _first_stage(real, imag, first, stop)
        span = 2
    while span < length:
        _two_stages(real, imag, first, stop, span, twiddles[used:])
        used += span
        span *= 4
    return used


@njit(**LOOP_OPTIONS)
def compute_masks(spectra, groups, secret, twiddles, untwist, masks):
    """Products of polynomials and the secret, modulo 2^32, by the inverse FFT, decimated in time.

    Parameters
    ----------
    spectra : ndarray of float64 or float32, shape (n_groups * rank * half * 2 * LANES,)
        In bit-reversed order, a group of polynomials after the other.
    groups : tuple of int
        First group, and the one after the last.
    secret : ndarray of float64, shape (rank, half, 2)
        Its spectra, in the same order.
    twiddles, untwist : ndarrays of float64, shapes (..., 6) and (half, 2)
        From `kernels`.
    masks : ndarray of uint32, shape (n_tokens, n_features)
        The result: the first coefficients of each product, one for each token; a column for each lane of the groups.
    """
    half, flat = len(untwist), masks.reshape(-1)
    real, imag = np.empty(half * LANES), np.empty(half * LANES)
    for group in range(groups[0], groups[1]):
        column = (group - groups[0]) * LANES
        if half < 4:
            _inner_products(spectra, group, secret, 0, half, real, imag)
            _small_transform(real, imag, untwist, flat, masks.shape, column)
            continue
        used = 0
        for first in range(0, half, half // 4):
            _inner_products(spectra, group, secret, first, first + half // 4, real, imag)
            used = _transform_quarter(real, imag, first, first + half // 4, twiddles)
        _last_stages(real, imag, twiddles[used:], untwist, flat, masks.shape, column)
