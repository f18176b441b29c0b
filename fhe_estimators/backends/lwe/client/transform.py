"""Exact products of integer polynomials modulo ``X^d + 1`` through double-precision FFTs.

A real polynomial of degree d is folded into ``d / 2`` complex numbers, modulo ``X^(d/2) - i``, and twisted so that a
cyclic FFT of that length multiplies in the folded ring (D. J. Bernstein, "Multidigit multiplication for
mathematicians", 2001, section 10). With one factor ternary, the products of a whole module stay below 2^43, far
within a double's 53 bits, and rounding recovers the integers: `product_error_bound` says why it always does.
"""

from __future__ import annotations

import math

import torch

from ..parameters import WORD_BITS, LWEParameters

#: Relative error of one operation on doubles.
_ROUNDOFF = 2.0**-53
#: Standard deviations within which sums stay, but for a probability of exp(-49) each.
_TAIL = 7.0
#: By how much the average of 1,024 or more squares may exceed its mean, as a part of their largest: Hoeffding's
#: inequality, but for a probability of exp(-46).
_EXCESS = 0.15


class NegacyclicTransform:
    """Forward and inverse transform of a ring degree, on a device.

    Parameters
    ----------
    degree : int
        Degree d of the ring, a power of two.
    device : torch.device or str

    Attributes
    ----------
    twist : tensor of complex128, shape (degree // 2,)
        What the FFT's input is multiplied by.
    untwist : tensor of complex128, shape (degree // 2,)
        What the inverse FFT's output is multiplied by, its factor ``2 / degree`` included.
    """

    def __init__(self, degree: int, device: torch.device | str = "cpu"):
        half = degree // 2
        angles = torch.arange(half, dtype=torch.float64, device=device) * (math.pi / degree)
        self.degree = degree
        self.twist = torch.polar(torch.ones_like(angles), angles)
        self.untwist = torch.polar(torch.full_like(angles, 1 / half), -angles)

    def spectrum(self, polynomials: torch.Tensor) -> torch.Tensor:
        """Spectra of integer polynomials.

        Parameters
        ----------
        polynomials : tensor of integers, shape (..., degree)

        Returns
        -------
        tensor of complex128, shape (..., degree // 2)
        """
        low, high = polynomials.to(torch.float64).split(self.degree // 2, dim=-1)
        return torch.fft.fft(torch.complex(low, high) * self.twist)

    def coefficients(self, spectra: torch.Tensor) -> torch.Tensor:
        """Inverse of `spectrum`, rounded to integers (int64)."""
        folded = torch.fft.ifft(spectra, norm="forward") * self.untwist
        return torch.cat([folded.real, folded.imag], dim=-1).round().to(torch.int64)


def product_error_bound(parameters: LWEParameters) -> float:
    """Bound on the error of a coefficient of a mask before it is rounded; below 1/2, the rounded one is exact.

    Every rounding error is taken at its largest and in the worst direction. Public matrix and secret are taken as what
    they are, uniform and independent: no value of their spectra, and no coefficient, is `_TAIL` standard deviations
    large. An FFT of ``2^t`` numbers has a relative error, in the Euclidean norm, of ``t eta`` for ``eta = mu +
    4 u (sqrt(2) + mu)``, where ``u`` is the roundoff and ``mu = 2 u`` the error of the twiddles (N. J. Higham,
    "Accuracy and Stability of Numerical Algorithms", 2nd edition, 2002, theorem 24.2); multiplying complex numbers adds
    ``2 sqrt(2) u``. With ``n`` the dimension, ``d`` the degree of the ring and ``k`` the rank, the error of a
    coefficient is at most the sum of

    - that of the spectra of the public matrix, times the largest values of the secret's, and the other way round: by
      Cauchy and Schwarz over the module, ``epsilon n`` times both factors' sizes;
    - that of ``k`` products and their sum, ``(k + 2 sqrt(2)) u`` times the largest partial sum;
    - that of the inverse FFT, ``(t eta + (2 sqrt(2) + 2) u)`` times the Euclidean norm of the product.

    Parameters
    ----------
    parameters : LWEParameters
        Of the encryption.

    Returns
    -------
    bound : float
        In units of a word's lowest bit.
    """
    n, degree, rank = parameters.dimension, parameters.ring_degree, parameters.rank
    stages = (degree // 2).bit_length() - 1
    complex_product = 2 * math.sqrt(2) * _ROUNDOFF
    twiddle = 2 * _ROUNDOFF
    transform = stages * (twiddle + 4 * _ROUNDOFF * (math.sqrt(2) + twiddle)) + complex_product + twiddle
    largest = 2.0 ** (WORD_BITS - 1)
    public_deviation, secret_deviation = largest / math.sqrt(3), math.sqrt(2 / 3)
    public_size = largest * math.sqrt(1 / 3 + _EXCESS)
    secret_size = math.sqrt(2 / 3 + _EXCESS)
    spectra = transform * n * _TAIL * (public_size * secret_deviation + secret_size * public_deviation)
    partial_sum = _TAIL * math.sqrt(rank) * degree * public_deviation * secret_size
    coefficient = _TAIL * public_deviation * secret_size * math.sqrt(n)
    inverse = transform * math.sqrt(degree) * coefficient
    return spectra + (rank * _ROUNDOFF + complex_product) * partial_sum + inverse
