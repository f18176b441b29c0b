"""The dual attack: many short vectors of the dual lattice tell right guesses of a part of the secret from wrong ones.

This is the attack of [1]_: ``k_enum`` coordinates of the secret are guessed, ``k_fft`` more are found modulo a small p
by a Fourier transform, and what reduction and sieving find are short vectors for the rest. Costs are those of its
theorem 7.6; BKZ is followed by one larger sieve that costs as much [2]_, section 5.

Its heuristics are known to favour the attacker [3]_, so costs err on the safe side. Guesses are counted as the theorem
does, for a discrete Gaussian secret of the same standard deviation.

References
----------
.. [1] MATZOV, "Report on the security of LWE: improved dual lattice attack", 2022.
.. [2] Q. Guo and T. Johansson, "Faster dual lattice attacks for solving LWE with applications to CRYSTALS", ASIACRYPT
   2021.
.. [3] L. Ducas and L. Pulles, "Does the dual-sieve attack on learning with errors even work?", CRYPTO 2023.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._instance import LWEInstance, luck
from ._reduction import (
    MAX_BLOCK_SIZE,
    MIN_BLOCK_SIZE,
    PROGRESSIVE_FACTOR,
    SHORT_VECTORS_SLOPE,
    SIEVE_SLOPE,
    bkz_cost,
    log_root_hermite,
    sieve_cost,
    sieve_dimension,
)

#: Gates of a multiplication and an addition of 32 bits ([1]_, page 37, and by comparison with it).
_MULTIPLICATION_GATES, _ADDITION_GATES = 32**2, 5 * 32
#: What is tried: the modulus of the Fourier transform, coordinates transformed and coordinates guessed.
_MODULI, _TRANSFORMED, _GUESSED = np.arange(2, 9), np.arange(0, 200, 5), np.arange(0, 100, 5)
#: Largest exponent of the number of vectors that is told apart from infinity.
_MAX_EXPONENT = 1e6


class DualAttack:
    """Cost of the dual attack on an instance.

    Parameters
    ----------
    instance : LWEInstance
        With as many samples as dimensions, or the fewer that there are.
    """

    def __init__(self, instance: LWEInstance):
        self.n = instance.dimension
        self.log_q = instance.modulus_bits * math.log(2)
        self.noise_std, self.secret_std = instance.noise_std, instance.secret_std
        self.n_samples = min(self.n, instance.samples)
        self.n_secrets = instance.n_secrets
        # One axis a choice, and a last one for block sizes.
        self.p = _MODULI[:, None, None, None].astype(float)
        self.k_fft = np.minimum(_TRANSFORMED, self.n // 2)[:, None, None].astype(float)
        self.k_enum = np.minimum(_GUESSED, self.n // 4)[:, None].astype(float)
        self.n_lattice = self.n - self.k_fft - self.k_enum
        self.d = self.n_lattice + self.n_samples
        self.luck = luck(2 * self.n, self.n_secrets)

    def cost(self) -> float:
        """The least over all choices, log2 of gates."""
        low = np.full(np.broadcast_shapes(self.p.shape, self.d.shape), MIN_BLOCK_SIZE)
        high = np.full(low.shape, MAX_BLOCK_SIZE)
        while (low < high).any():  # the block size from which one sieve has enough vectors
            middle = (low + high) // 2
            enough = self._missing(middle) <= 0
            low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
        blocks = np.maximum(low + np.arange(-3, 1), MIN_BLOCK_SIZE)
        return float(np.logaddexp2(self._sampling(blocks), self._guessing(blocks)).min())

    def _sieve(self, block: Any) -> Any:
        """Dimension of the sieve that costs as much as the reduction before it."""
        calls = PROGRESSIVE_FACTOR * np.maximum(self.d - block, 1)
        return np.minimum(sieve_dimension(block) + np.log2(calls) / SIEVE_SLOPE, self.d)

    def _n_vectors(self, block: Any) -> Any:
        """log2 of the short vectors that tell the right guess from all others with probability 1/2."""
        fraction = self.n_samples / self.d
        log_length = (  # of the vectors, their products with secret and noise
            fraction * math.log(self.noise_std)
            + (1 - fraction) * (math.log(self.secret_std) + self.log_q)
            + math.log(4 / 3) / 2
            + np.log(block / (2 * math.pi * math.e)) / 2
            + (self.d - block) * log_root_hermite(block)
        )
        log_ratio = np.minimum(2 * (log_length - self.log_q), math.log(_MAX_EXPONENT))
        exponent = 4 * math.pi**2 * np.exp(log_ratio) * self.luck
        exponent = exponent + self.k_fft / 3 * (self.secret_std * math.pi / self.p) ** 2
        # The theorem adds entropy in bits to natural logarithms.
        guesses = self.k_enum * self._entropy_bits + self.k_fft * np.log(self.p) + math.log(2 * self.n_secrets)
        return exponent / math.log(2) + np.log2(guesses)

    @property
    def _entropy_bits(self) -> float:
        """Of a coordinate of a discrete Gaussian secret."""
        variance = self.secret_std**2
        log_normal = 0.5 + math.log(2 * math.pi * variance) / 2
        return (log_normal - math.log(math.tanh(math.pi**2 * variance))) / math.log(2)

    def _missing(self, block: Any) -> Any:
        return self._n_vectors(block) - SHORT_VECTORS_SLOPE * self._sieve(block)

    def _sampling(self, block: Any) -> Any:
        once = np.logaddexp2(bkz_cost(block, self.d), sieve_cost(self._sieve(block)))
        return once + np.maximum(self._missing(block), 0)

    def _guessing(self, block: Any) -> Any:
        """Guesses times transforms and updates of their tables; several secrets are paid for once."""
        variance = self.secret_std**2
        alpha = math.pi**2 * variance
        spread = 8 * alpha * math.exp(-2 * alpha) * math.tanh(alpha)
        guess_bits = (spread - 0.5) / math.log(2) + 1 + self._entropy_bits
        trials = self.k_enum * guess_bits - math.log2(-math.expm1(-1 / (2 * variance)))
        with np.errstate(divide="ignore"):
            transform = np.log2(_MULTIPLICATION_GATES * self.k_fft) + (self.k_fft + 1) * np.log2(self.p)
        return trials + np.logaddexp2(transform, math.log2(4 * _ADDITION_GATES) + self._n_vectors(block))
