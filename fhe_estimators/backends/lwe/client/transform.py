"""Exact products of integer polynomials modulo ``X^d + 1`` through double-precision FFTs.

A real polynomial of degree d is folded into ``d / 2`` complex numbers, modulo ``X^(d/2) - i``, and twisted so that a
cyclic FFT of that length multiplies in the folded ring (D. J. Bernstein, "Multidigit multiplication for
mathematicians", 2001, section 10). With one factor ternary, the products of a whole module stay below 2^43, far
within a double's 53 bits: rounding recovers the integers, and a test holds the bound.
"""

from __future__ import annotations

import math

import torch


class NegacyclicTransform:
    """Forward and inverse transform of a ring degree, on a device.

    Parameters
    ----------
    degree : int
        Degree d of the ring, a power of two.
    device : torch.device or str

    Attributes
    ----------
    untwist : tensor of complex128, shape (degree // 2,)
        What the inverse FFT's output is multiplied by, its factor ``2 / degree`` included.
    """

    def __init__(self, degree: int, device: torch.device | str = "cpu"):
        half = degree // 2
        angles = torch.arange(half, dtype=torch.float64, device=device) * (math.pi / degree)
        self.degree = degree
        self._twist = torch.polar(torch.ones_like(angles), angles)
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
        return torch.fft.fft(torch.complex(low, high) * self._twist)

    def coefficients(self, spectra: torch.Tensor) -> torch.Tensor:
        """Inverse of `spectrum`, rounded to integers (int64)."""
        folded = torch.fft.ifft(spectra, norm="forward") * self.untwist
        return torch.cat([folded.real, folded.imag], dim=-1).round().to(torch.int64)
