"""The written noise model: bits of the invariant noise budget that each step takes at most.

SEAL's noise budget is ``log2(q) - log2(2 p |noise|)`` for the largest coefficient of the noise of a ciphertext, and
decryption is exact while it is positive. With coefficients as independent sums of many terms, the largest of N of
them stays below ``TAIL`` standard deviations; measured budgets are held against this model in the tests.

- A fresh symmetric encryption has noise of standard deviation 3.2.
- A rotation or relinearization adds the noise of key switching: a product of the key's noise and digits below one
  prime of the modulus, summed over the primes and divided by the special prime.
- A product with a plaintext of uniform coefficients modulo p multiplies the noise's standard deviation by ``p sqrt(N
  / 12)``; a sum of n of them by ``sqrt(n)`` more.
- A product of ciphertexts multiplies the larger noise by about ``p N``: the messages' and the secret's polynomials,
  each with N coefficients, enter with the square root of N (J. Fan and F. Vercauteren, IACR ePrint 2012/144, lemma 2,
  with square roots for its worst case).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Standard deviations that no coefficient of a noise reaches (2^-50 for a Gaussian).
TAIL = 8.0
_FRESH_STD = 3.2
#: A product of ciphertexts takes this many bits beyond ``log2(p N)``, measured at every ring degree, and added up.
_PRODUCT_MARGIN_BITS = 0.8


@dataclass(frozen=True)
class NoiseSteps:
    """What a circuit does to the noise of its input.

    Parameters
    ----------
    n_rotations : int
        Rotations of the fresh bits one after another.
    n_plain_products : int
        Products with diagonals that are summed up.
    n_folds : int
        Sums of a ciphertext and its rotation, one after another.
    depth : int
        Products of ciphertexts one after another.
    n_blocks : int
        Products with leaf values that are summed up.
    n_routes : int, default=0
        Products with masks that are summed up before, once the fresh bits are rotated; 0 if bits are not routed.
    n_result_folds : int, default=0
        Sums of a result and its rotation, one after another.
    """

    n_rotations: int
    n_plain_products: int
    n_folds: int
    depth: int
    n_blocks: int
    n_routes: int = 0
    n_result_folds: int = 0

    def linear_bits(self, degree: int, plain_bits: float, n_primes: int) -> float:
        """Bits of noise, log2 of its largest coefficient, after the costs are computed."""
        switching = 2 * math.sqrt(n_primes * degree / 12) * _FRESH_STD  # special prime of the size of the others
        std = math.hypot(_FRESH_STD, switching * math.sqrt(self.n_rotations))
        if self.n_routes:
            std *= 2.0**plain_bits * math.sqrt(degree / 12 * self.n_routes)
        product = plain_bits + 0.5 * math.log2(degree / 12 * max(1, self.n_plain_products))
        return math.log2(TAIL * std) + product + self.n_folds

    def consumed_bits(self, degree: int, plain_bits: float, n_primes: int) -> float:
        """Bits of noise of the sum of leaves."""
        products = self.depth * (plain_bits + math.log2(degree) + _PRODUCT_MARGIN_BITS)
        leaves = plain_bits + 0.5 * math.log2(degree / 12 * self.n_blocks)
        return self.linear_bits(degree, plain_bits, n_primes) + products + leaves + self.n_result_folds

    def needed_modulus_bits(self, degree: int, plain_bits: float, n_primes: int) -> float:
        """Bits of the coefficient modulus with which a budget of zero is left."""
        return self.consumed_bits(degree, plain_bits, n_primes) + plain_bits + 1
