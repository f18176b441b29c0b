"""Noise that hides how a response was computed.

The noise of an evaluation is a function of the encrypted bits and the model, and a client, who knows the key, can see
it. A server that re-randomizes adds an encryption of zero under the client's public key, which makes the response
as fresh as any encryption, and Gaussian noise as large as rounding allows: with it, the noise of a row has the standard
deviation ``MAX_ERROR / ERROR_STDS`` (1/64 of a step) that parameters are chosen for at most.

How well the one hides the other: shifting a Gaussian of standard deviation ``d`` in each of ``N`` coefficients by a
vector of length ``r`` moves it by a statistical distance of ``r / (d sqrt(2 pi))`` at most. The evaluation's noise has
the length ``E``, the root mean square of its slots, and the flooding ``d = F / sqrt(N)`` for slots of size ``F``. Both
grow alike from the mean of a row's slots to a slot. Slots that no row uses are flooded by much more, since the noise
there is larger.

``E`` is taken as twice the predicted one, and the distance comes out between 1 and ``2 ** -10`` as a rule: for
``2 ** -40`` the noise of the evaluation would have to be ``2 ** -52`` of a step, less than products modulo primes of 60
bits can have.
"""

from __future__ import annotations

import os

import numpy as np

from .noise import ERROR_STDS, MAX_ERROR
from .slots import row_places

#: The evaluation's noise over the predicted one, at most.
_MARGIN = 2.0
#: The second, finer layer of the noise: Gaussians in float64 have no bits below 2 ** -53 of their size.
_FINE = 2.0**-40


def flooding_std(error_std: float) -> float:
    """Standard deviation of the flooding, of the mean of a row's slots, in integer steps."""
    room = (MAX_ERROR / ERROR_STDS) ** 2 - error_std**2
    return float(np.sqrt(max(room, 0.0)))


def flooding_bits(error_std: float, poly_modulus_degree: int) -> float:
    """Statistical distance, as ``-log2``, between a response's noise and noise that depends on nothing."""
    if error_std == 0:
        return float("inf")
    ratio = flooding_std(error_std) * np.sqrt(2 * np.pi) / (_MARGIN * error_std * np.sqrt(poly_modulus_degree))
    return max(0.0, float(np.log2(ratio))) if ratio > 0 else 0.0


def flooding_slots(
    error_std: float, poly_modulus_degree: int, expansion_log2: int, score_bits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two layers of fresh noise for one response, from the system's generator.

    Parameters
    ----------
    error_std : float
        Predicted standard deviation of the evaluation's noise, in integer steps.
    poly_modulus_degree : int
        Ring degree N.
    expansion_log2 : int
        Of the batch.
    score_bits : int
        Of the program; slots without a row are flooded by as much.

    Returns
    -------
    coarse, fine : ndarray of shape (N/2,), complex128
        Slots, in integer steps; add both.
    """
    size = np.full((2**expansion_log2, poly_modulus_degree >> (expansion_log2 + 1)), 2.0**score_bits)
    size[:, row_places(poly_modulus_degree, expansion_log2)] = flooding_std(error_std) * 2 ** (expansion_log2 / 2)
    size = size.ravel() / np.sqrt(2)
    return size * _complex_normal(len(size)), size * _FINE * _complex_normal(len(size))


def _complex_normal(n: int) -> np.ndarray:
    """Independent standard normal real and imaginary parts (Box and Muller), shape (n,)."""
    words = np.frombuffer(os.urandom(16 * n), dtype=np.uint64).reshape(2, n)
    uniform = (words >> np.uint64(11)).astype(np.float64)
    radius = np.sqrt(-2 * np.log((uniform[0] + 1) * 2.0**-53))
    return radius * np.exp(2j * np.pi * uniform[1] * 2.0**-53)
