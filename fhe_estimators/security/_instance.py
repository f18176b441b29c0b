"""Instances of learning with errors, and what all attacks on them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import gammaincinv

#: Standard deviation of each distribution of secrets, and how many values it has; a Gaussian one is that of the noise.
SECRETS = {"binary": (0.5, 2), "ternary": (math.sqrt(2 / 3), 3), "gaussian": (math.inf, None)}


@dataclass(frozen=True)
class LWEInstance:
    """An instance of learning with errors: samples ``(a, <a, s> + e mod q)``.

    Rings and modules are taken as plain matrices: no attack is known that gains from their structure at these
    parameters.

    Parameters
    ----------
    dimension : int
        Dimension n of the secret; of a module, ring degree times rank.
    modulus_bits : float
        Bits of the modulus q, its log2.
    noise_std : float
        Standard deviation of the noise, in units of 1 modulo q.
    secret : {"binary", "ternary", "gaussian"}
        Distribution of the secret: uniform over {0, 1} or {-1, 0, 1}, or that of the noise.
    n_secrets : int, default=1
        Secrets under one public matrix, of which the attacker wants any one.
    max_samples : int, default=None
        Samples that the attacker sees, None for as many as it likes.
    """

    dimension: int
    modulus_bits: float
    noise_std: float
    secret: str
    n_secrets: int = 1
    max_samples: int | None = None

    def __post_init__(self) -> None:
        if self.secret not in SECRETS:
            raise ValueError(f"secret={self.secret!r} is unknown: use one of {sorted(SECRETS)}.")
        if self.dimension < 1 or self.n_secrets < 1 or self.samples < 1:
            raise ValueError("dimension, n_secrets and max_samples must be at least 1.")
        if not (0 < self.modulus_bits < math.inf and 0 <= self.noise_std < math.inf):
            raise ValueError("modulus_bits must be positive, and noise_std a finite number that is not negative.")

    @property
    def samples(self) -> float:
        """Samples that the attacker sees, infinite if unbounded."""
        return math.inf if self.max_samples is None else self.max_samples

    @property
    def secret_std(self) -> float:
        """Standard deviation of the secret, in units of 1.

        It is never above that of the noise: a wider secret can be traded for one that is distributed as the noise is
        (B. Applebaum, D. Cash, C. Peikert and A. Sahai, CRYPTO 2009, lemma 2).
        """
        return min(SECRETS[self.secret][0], self.noise_std)


def luck(dimension: float, n_secrets: int) -> float:
    """Squared length of the shortest of many Gaussian vectors, relative to the mean: a quantile of chi-square."""
    return 1.0 if n_secrets == 1 else 2 * float(gammaincinv(dimension / 2, 1 / n_secrets)) / dimension


def smallest(works: Callable[[int], bool], low: int, high: int) -> int | None:
    """The smallest integer from ``low`` to ``high`` that works, where all above it do; None if none does."""
    if low > high or not works(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if works(middle) else (middle + 1, high)
    return low
