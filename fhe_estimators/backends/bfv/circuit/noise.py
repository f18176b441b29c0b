"""The written noise model: bits of the invariant noise budget that each step takes at most.

SEAL's noise budget is ``log2(q) - log2(2 p |noise|)`` for the largest coefficient of the noise of a ciphertext, and
decryption is exact while it is positive. With coefficients as independent sums of many terms, the largest of N of
them stays below ``TAIL`` standard deviations; measured budgets are held against this model in the tests. The standard
deviation is that of all coefficients together, since every product spreads the noise evenly over them.

- A fresh symmetric encryption has noise of standard deviation 3.2.
- A rotation or relinearization adds the noise of key switching: a product of the key's noise and digits below one
  prime of the modulus, summed over the primes and divided by the special prime.
- A product with a plaintext of uniform coefficients modulo p multiplies the noise's standard deviation by ``p sqrt(N
  / 12)``; a sum of n of them by ``sqrt(n)`` more. The sum of a ciphertext and its rotation by lanes counts as the sum
  of two such products: no coefficients of the two coincide but a few.
- The sums of a ciphertext and its rotations by ``2^k`` stretches are those over a subgroup of the automorphisms. Of the
  coefficients ``X^i``, those with ``i`` divisible by ``2^a`` coincide ``2^a`` times, so that the variance grows by
  ``2^k (1 + k / 2)``, and the largest coefficient, where no product follows, by up to ``2^k``.
- A product of ciphertexts with the noises of factors that are functions of the same costs: ``2 p v k``, where ``v`` is
  the noise and ``k`` is a uniform number from -1/2 to 1/2 plus the product of N such numbers and the ternary secret,
  of variance N / 18 (J. Fan and F. Vercauteren, IACR ePrint 2012/144, lemma 2, with variances for its worst case). So
  the standard deviation grows by ``p N sqrt(2) / 3``. Products one after another multiply by the same secret, whose
  values at the roots of unity are complex Gaussians of which the 2L-th moment is ``L!`` and not 1.
- Results are sent modulo the first prime alone. Rounding to it leaves what rounding the two polynomials does: a uniform
  number from -1/2 to 1/2 plus the product of N such numbers and the secret.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Standard deviations that no coefficient of a noise reaches (2^-50 for a Gaussian).
TAIL = 8.0
_FRESH_STD = 3.2


def rounding_budget_bits(degree: int, plain_bits: float, result_bits: int) -> float:
    """Bits of the noise budget of a result without noise that is rounded to a modulus."""
    return result_bits - plain_bits - 1 - math.log2(TAIL * math.sqrt((1 + 2 * degree / 3) / 12))


@dataclass(frozen=True)
class NoiseSteps:
    """What a circuit does to the noise of its input.

    Parameters
    ----------
    n_rotations : int
        Rotations of the fresh bits one after another.
    n_plain_products : int
        Products with diagonals that are summed up, by all shares together.
    n_stretch_folds : int
        Sums of a ciphertext and its rotation by a stretch, two of them and so on.
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
    n_stretch_folds: int
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
        folds = self.n_stretch_folds / 2 + 0.5 * math.log2(1 + self.n_stretch_folds / 2)
        return math.log2(TAIL * std) + product + folds

    def consumed_bits(self, degree: int, plain_bits: float, n_primes: int) -> float:
        """Bits of noise of the sum of leaves."""
        products = self.depth * (plain_bits + math.log2(degree * math.sqrt(2) / 3))
        products += 0.5 * math.log2(math.factorial(self.depth))
        leaves = plain_bits + 0.5 * math.log2(degree / 12 * self.n_blocks)
        return self.linear_bits(degree, plain_bits, n_primes) + products + leaves + self.n_result_folds

    def needed_modulus_bits(self, degree: int, plain_bits: float, n_primes: int) -> float:
        """Bits of the coefficient modulus with which a budget of zero is left."""
        return self.consumed_bits(degree, plain_bits, n_primes) + plain_bits + 1
