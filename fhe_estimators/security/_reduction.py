"""What lattice reduction achieves and what it costs.

Costs are base-2 logarithms of numbers of gates of a classical computer. All functions take numbers or arrays.

References
----------
.. [1] Y. Chen, "Réduction de réseau et sécurité concrète du chiffrement complètement homomorphe", thesis, 2013.
.. [2] L. Ducas, "Shortest vector from lattice sieving: a few dimensions for free", EUROCRYPT 2018, section 4.
.. [3] M. Albrecht, V. Gheorghiu, E. Postlethwaite and J. Schanck, "Estimating quantum speedups for lattice sieves",
   ASIACRYPT 2020.
.. [4] MATZOV, "Report on the security of LWE: improved dual lattice attack", 2022, section 6.
.. [5] R. Avanzi et al., "CRYSTALS-Kyber, algorithm specifications and supporting documentation", version 3.02, 2021,
   section 5.2.
.. [6] A. Becker, L. Ducas, N. Gama and T. Laarhoven, "New directions in nearest neighbor searching with applications
   to lattice sieving", SODA 2016.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: Smallest block size considered: below it, the formula of the root Hermite factor does not hold.
MIN_BLOCK_SIZE = 50
#: Largest one: nobody will ever reduce with larger blocks.
MAX_BLOCK_SIZE = 1 << 14
#: Sieving in all dimensions up to k costs this many times a sieve in dimension k: 1 / (1 - 2^-0.292) [5]_.
PROGRESSIVE_FACTOR = 1 / (1 - 2**-0.292)
#: log2 of the gates of a sieve in dimension k is ``SIEVE_SLOPE * k + SIEVE_OFFSET``: a fit of the costs that [3]_ found
#: for list decoding, with the improvements of [4]_, made by the authors of the lattice estimator.
SIEVE_SLOPE, SIEVE_OFFSET = 0.29613500308205365, 20.387885985467914
#: A sieve in dimension k ends with about ``2 ** (SHORT_VECTORS_SLOPE * k)`` short vectors [6]_.
SHORT_VECTORS_SLOPE = 0.2075


def log_root_hermite(block_size: Any) -> Any:
    """Natural logarithm of the root Hermite factor of BKZ [1]_, equation 4 of section 2."""
    return np.log(block_size / (2 * math.pi * math.e) * (math.pi * block_size) ** (1 / block_size)) / (
        2 * (block_size - 1)
    )


def sieve_dimension(block_size: Any) -> Any:
    """Dimension in which a sieve solves SVP in dimension ``block_size`` [2]_."""
    return block_size - block_size * math.log(4 / 3) / np.log(block_size / (2 * math.pi * math.e))


def sieve_cost(dimension: Any) -> Any:
    """One progressive sieve in a dimension."""
    return math.log2(PROGRESSIVE_FACTOR) + SIEVE_SLOPE * dimension + SIEVE_OFFSET


def svp_cost(dimension: Any) -> Any:
    """One shortest vector."""
    return sieve_cost(sieve_dimension(dimension)) + math.log2(PROGRESSIVE_FACTOR)


def bkz_cost(block_size: Any, dimension: Any) -> Any:
    """Progressive BKZ: LLL, then as many calls of SVP as blocks fit [5]_."""
    calls = np.log2(np.maximum(dimension - block_size, 1))
    return np.logaddexp2(3 * np.log2(dimension), svp_cost(block_size) + calls)
