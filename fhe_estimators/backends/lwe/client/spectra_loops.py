"""Compiled transforms of public polynomials, `LANES` of them side by side, as `transform_loops` (CPU; needs numba).

The FFT is decimated in frequency, so that its output comes in the bit-reversed order in which the inverse takes it.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from .._limb_loops import LOOP_OPTIONS
from .transform_loops import LANES
from .vectors import WIDTH, fill, load, store


@njit(**LOOP_OPTIONS)
def _load_twisted(polynomials, group, row, twist, real, imag):
    """Fold the polynomials of a group to complex numbers, twisted; lanes beyond the last one hold zeros."""
    half = len(twist)
    real[:] = 0.0
    imag[:] = 0.0
    n_lanes = min(LANES, len(polynomials) - group * LANES)
    for first in range(0, half, LANES):  # squares, of which the caches hold both sides
        for lane in range(n_lanes):
            polynomial = polynomials[group * LANES + lane, row]
            for k in range(first, min(first + LANES, half)):
                a, b = np.float64(polynomial[k]), np.float64(polynomial[k + half])
                c, s = twist[k, 0], twist[k, 1]
                real[k * LANES + lane] = a * c - b * s
                imag[k * LANES + lane] = a * s + b * c


@njit(**LOOP_OPTIONS)
def _stage(real, imag, half, span, twiddles):
    """Butterflies of numbers ``span`` apart: their sum, and their difference times a root of unity."""
    step = span * LANES
    for start in range(0, half, 2 * span):
        for k in range(span):
            c, s = fill(twiddles[k, 0]), fill(twiddles[k, 1])
            for j in range((start + k) * LANES, (start + k + 1) * LANES, WIDTH):
                r0, r1, m0, m1 = load(real, j), load(real, j + step), load(imag, j), load(imag, j + step)
                r, m = r0 - r1, m0 - m1
                store(real, j, r0 + r1)
                store(imag, j, m0 + m1)
                store(real, j + step, r * c - m * s)
                store(imag, j + step, r * s + m * c)


@njit(parallel=True, **LOOP_OPTIONS)
def compute_spectra(polynomials, twist, twiddles, spectra):
    """Spectra of polynomials in the order that `compute_masks` takes.

    Parameters
    ----------
    polynomials : ndarray of int32, shape (n_features, rank, 2 * half)
    twist : ndarray of float64, shape (half, 2)
        From `NegacyclicTransform`.
    twiddles : ndarray of float64, shape (half - 1, 2)
        Roots of unity of the stages, the first one's first: of spans half / 2, half / 4, ..., 1.
    spectra : ndarray of float64 or float32, shape (n_groups, rank, half, 2, LANES)
        The result.
    """
    n_groups, rank, half = spectra.shape[:3]
    for task in prange(n_groups * rank):
        group, row = task // rank, task % rank
        real, imag = np.empty(half * LANES), np.empty(half * LANES)
        _load_twisted(polynomials, group, row, twist, real, imag)
        span, used = half // 2, 0
        while span:
            _stage(real, imag, half, span, twiddles[used:])
            used += span
            span //= 2
        found = spectra[group, row]
        for k in range(half):
            for lane in range(LANES):
                found[k, 0, lane] = real[k * LANES + lane]
                found[k, 1, lane] = imag[k * LANES + lane]
