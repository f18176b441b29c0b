"""Errors of single operations in a ring. `noise` follows them through a circuit.

Notation: ring degree ``N``, uniform ternary secret ``s``, fresh noise of standard deviation ``sigma`` in each
coefficient. Errors are those of slots, complex numbers; a standard deviation is that of their size, which real parts
reach to ``1 / sqrt(2)`` only. A polynomial with independent coefficients of standard deviation ``d`` has slots of
standard deviation ``d * sqrt(N)``. Following A. Costache, B. Curtis, E. Hales, S. Murphy, T. Ogilvie and R. Player,
"On the precision loss in approximate homomorphic encryption", SAC 2023, errors are treated as Gaussians:

- a fresh bit: ``sigma * sqrt(N)``;
- rescaling a ciphertext of size 2: ``sqrt(N / 12) * sqrt(1 + 2N/3)``, since ``|s|`` is about ``sqrt(2N/3)`` in a slot;
- rescaling one of size 3: ``sqrt(N / 12) * |s|**2``, with ``|s|**2`` below ``2N/3 * (ln(N/2) + 4)`` in every slot: its
  values there are exponentially distributed.

Key switching
-------------

A polynomial is split into digits ``d_i`` modulo the primes ``q_i``, which meet the errors ``e_i`` of the key and are
divided by the special prime ``p``: the error is ``sum(d_i e_i) / p``, besides that of a rescaling. SEAL's digits lie in
``[0, q_i)``. So ``d_i`` is a centred polynomial plus ``(q_i / 2) J``, with ``J = 1 + X + ... + X**(N-1)``:

- the centred parts differ from one ciphertext to the next. Their error is independent:
  ``sigma * N * sqrt(sum(q_i**2) / 12) / p``;
- the common part ``J sum(q_i e_i) / 2p`` is the *same for every key switching with the same key* at a level, and large
  in few slots: ``J(exp(i pi t / N)) = 2 / (1 - exp(i pi t / N))``, up to ``2N/pi``. It has the standard deviation
  ``sigma * sqrt(N) * |J| * sqrt(sum(q_i**2)) / 2p``.

Unpacking
---------

Round ``j`` of ``k`` (see `packing`) adds an error ``E_j`` to all parts, and the rounds after it add up ``2**(k-1-j)``
of its images. So does the mean over the ``2**k`` slots of a row. Of ``E_j`` there is in the end
``2**(-1-j) * sum of E_j over the row's slots``, up to signs and powers of X; of the fresh error, which all ``k`` rounds
double, the sum over the slots. Hence, for a bit:

- fresh: ``2**(k/2)`` times that of a bit that was not packed;
- the independent part of key switching: ``2**(k/2) * sqrt(sum over j of 4**(-1-j))`` times that of a slot. Different
  bits take different coefficients of the ``E_j``: they are independent;
- the common part: ``sqrt(sum over j of 4**(-1-j)) < 1 / sqrt(3)`` times that with ``|J|**2`` summed over the row's
  slots. It is the same in all bits, up to the sign: bit ``i`` has ``E_j`` with the sign of binary digit ``j`` of ``i``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .slots import digit_mean_gains

#: Standard deviation of fresh noise in SEAL (a centred binomial distribution of variance 10.5).
FRESH_NOISE_STD = 3.24


@dataclass(frozen=True)
class RingNoise:
    """Standard deviations of errors in slots, absolute (not divided by a scale).

    Parameters
    ----------
    poly_modulus_degree : int
    prime_bits : tuple of int
        Data primes from ``q_0`` up, then the special prime.
    """

    poly_modulus_degree: int
    prime_bits: tuple[int, ...]

    @property
    def fresh(self) -> float:
        return FRESH_NOISE_STD * self.poly_modulus_degree**0.5

    @property
    def rounding(self) -> float:
        """Rescaling of a ciphertext of size 2."""
        n = self.poly_modulus_degree
        return ((1 + 2 * n / 3) / 12 * n) ** 0.5

    @property
    def rounding_of_products(self) -> float:
        """Rescaling of a ciphertext of size 3, in the worst slot."""
        n = self.poly_modulus_degree
        return (n / 12) ** 0.5 * 2 * n / 3 * (np.log(n / 2) + 4)

    @property
    def key_switching(self) -> float:
        """What differs from one key switching to the next."""
        by_digits = FRESH_NOISE_STD * self.poly_modulus_degree * self._relative_digits / 12**0.5
        return float(np.hypot(by_digits, self.rounding))

    def common_key_switching(self, expansion_log2: int) -> np.ndarray:
        """What all key switchings with a key share, shape (rows_per_batch,): summed over the slots of each row."""
        per_gain = FRESH_NOISE_STD * self.poly_modulus_degree**0.5 / 2 * self._relative_digits
        return per_gain * digit_mean_gains(self.poly_modulus_degree, expansion_log2)

    @property
    def _relative_digits(self) -> float:
        return sum(4.0**bits for bits in self.prime_bits[:-1]) ** 0.5 / 2.0 ** self.prime_bits[-1]

    def bit(self, expansion_log2: int) -> float:
        """The error of a bit, unpacked from ``2 ** expansion_log2``, that is independent of that of other bits."""
        rounds = (2.0**expansion_log2 - 2.0**-expansion_log2) / 3
        return float(np.sqrt(2.0**expansion_log2 * self.fresh**2 + rounds * self.key_switching**2))

    def common_bit(self, expansion_log2: int) -> np.ndarray:
        """The error that all bits of a row share up to signs, shape (rows_per_batch,)."""
        if not expansion_log2:
            return np.zeros(1)
        return self.common_key_switching(expansion_log2) * ((1 - 4.0**-expansion_log2) / 3) ** 0.5
