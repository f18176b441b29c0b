"""The primal attacks: the secret as an unusually short vector, or an unusually close one.

The lattice is that of Bai and Galbraith [1]_, of dimension d and volume ``q^(d - n) xi^n``, its secret part scaled by
``xi`` so that secret and noise are as long. The shape of a reduced basis is that of the geometric series assumption.

References
----------
.. [1] S. Bai and S. Galbraith, "Lattice decoding attacks on binary LWE", ACISP 2014.
.. [2] E. Alkim, L. Ducas, T. Pöppelmann and P. Schwabe, "Post-quantum key exchange: a new hope", USENIX Security
   2016, section 6.3.
.. [3] M. Liu and P. Nguyen, "Solving BDD by enumeration: an update", CT-RSA 2013.
.. [4] M. Albrecht, B. Curtis and T. Wunderer, "Exploring trade-offs in batch bounded distance decoding", SAC 2019.
"""

from __future__ import annotations

import math

import numpy as np

from ._instance import LWEInstance, luck, smallest
from ._reduction import MAX_BLOCK_SIZE, MIN_BLOCK_SIZE, bkz_cost, log_root_hermite, svp_cost


class PrimalAttack:
    """Costs of the primal attacks on an instance.

    Parameters
    ----------
    instance : LWEInstance
        In normal form.
    """

    def __init__(self, instance: LWEInstance):
        self.n = instance.dimension
        self.log_q = instance.modulus_bits * math.log(2)
        self.log_noise = math.log(instance.noise_std)
        self.log_xi = self.log_noise - math.log(instance.secret_std)
        self.max_dimension = self.n + instance.samples
        self.max_block = int(min(MAX_BLOCK_SIZE, self.max_dimension))
        self.n_secrets = instance.n_secrets

    def usvp(self) -> float:
        """Cost of embedding: one reduction whose last block finds the secret [2]_; log2 of gates."""
        block = smallest(self._embedding_works, MIN_BLOCK_SIZE, self.max_block)
        return math.inf if block is None else float(bkz_cost(block, self._embedding_dimension(block)))

    def _embedding_dimension(self, block: int) -> float:
        log_lost = (self.n + 1) * self.log_q - self.n * self.log_xi - self.log_noise
        best = math.sqrt(max(log_lost, 0.0) / log_root_hermite(block))
        return max(min(best, self.max_dimension + 1), block, self.n + 1)

    def _embedding_works(self, block: int) -> bool:
        """Whether the projected secret is shorter than the first vector of the last block."""
        d = self._embedding_dimension(block)
        log_volume = self.log_noise + self.n * self.log_xi + (d - self.n - 1) * self.log_q
        log_length = (2 * block - d - 1) * log_root_hermite(block) + log_volume / d
        return self.log_noise + math.log(block) / 2 <= log_length

    def bdd(self) -> float:
        """Cost of a reduction followed by one call of SVP in a larger block [3]_; log2 of gates.

        With several secrets the one call counts for all of them (sieving decodes many targets at little more than the
        price of one), and it has to find only the one whose projection is shortest: see [4]_.
        """
        first = smallest(self._reduction_is_dearer, MIN_BLOCK_SIZE, self.max_block)
        if first is None:
            return math.inf
        blocks = range(max(first - 3, MIN_BLOCK_SIZE), first + 3)
        return min(np.logaddexp2(self._reduction(block), self._decoding(block)) for block in blocks)

    def _bdd_dimension(self, block: int) -> float:
        log_lost = self.n * max(self.log_q - self.log_xi, 0.0)
        return max(min(math.sqrt(log_lost / log_root_hermite(block)), self.max_dimension), block, self.n)

    def _reduction(self, block: int) -> float:
        return float(bkz_cost(block, self._bdd_dimension(block)))

    def _reduction_is_dearer(self, block: int) -> bool:
        return self._reduction(block) >= self._decoding(block)

    def _decoding(self, block: int) -> float:
        size = smallest(lambda size: self._is_closest(block, size), MIN_BLOCK_SIZE, int(self._bdd_dimension(block)))
        return math.inf if size is None else float(svp_cost(size + 1))

    def _is_closest(self, block: int, size: int) -> bool:
        """Whether the error, projected to the last ``size`` dimensions, is shorter than any vector of the lattice."""
        d, log_delta = self._bdd_dimension(block), log_root_hermite(block)
        log_volume = size / d * ((d - self.n) * self.log_q + self.n * self.log_xi) - (d - size) * size * log_delta
        rank = size + 1
        log_ball = rank / 2 * math.log(math.pi) - math.lgamma(rank / 2 + 1)
        shortest = (log_volume + self.log_noise - log_ball) / rank  # the Gaussian heuristic
        return self.log_noise + math.log(size * luck(size, self.n_secrets) + 1) / 2 <= shortest
