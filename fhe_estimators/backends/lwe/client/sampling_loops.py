"""Compiled loops of the noise: bit-sliced, 64 values in a machine word, several words in a vector (CPU; needs numba).

Nothing here depends on data: every value takes the same instructions, and no memory is addressed by it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .._limb_loops import LOOP_OPTIONS

#: Words of a row, which are added side by side.
_WORDS = 8
#: Binary digits of the counts.
_DIGITS = 6
_LOWEST_BITS = 0x0101010101010101


@njit(**LOOP_OPTIONS)
def _add(a, b, c):
    """Digit and carry of the sum of three bits, in each position of a word."""
    difference = a ^ b
    return difference ^ c, (a & b) | (difference & c)


@njit(**LOOP_OPTIONS)
def _count(rows, digits):
    """Binary digits of the number of ones in each bit position of rows, seven rows at a time."""
    digits[:] = 0
    for start in range(0, len(rows), 7):
        seven = rows[start : start + 7]
        for w in range(_WORDS):
            sum0, carry0 = _add(seven[0, w], seven[1, w], seven[2, w])
            sum1, carry1 = _add(seven[3, w], seven[4, w], seven[5, w])
            ones, carry2 = _add(sum0, sum1, seven[6, w])
            twos, fours = _add(carry0, carry1, carry2)
            digits[0, w], carry = digits[0, w] ^ ones, digits[0, w] & ones
            digits[1, w], carry = _add(digits[1, w], twos, carry)
            digits[2, w], carry = _add(digits[2, w], fours, carry)
            digits[3, w], carry = digits[3, w] ^ carry, digits[3, w] & carry
            digits[4, w], carry = digits[4, w] ^ carry, digits[4, w] & carry
            digits[5, w] ^= carry


@njit(**LOOP_OPTIONS)
def count_ones(bits, ones):
    """Number of ones that make each value of noise; see `sampling.UNIT_VALUES` for which bits those are.

    Parameters
    ----------
    bits : ndarray of uint64, shape (n_units, n_bits, 8)
        Uniform; ``n_bits`` is a multiple of seven below 64.
    ones : ndarray of uint64, shape (n_units, 8, 8)
        The result, a byte a value.
    """
    digits = np.empty((_DIGITS, _WORDS), dtype=np.uint64)
    mask = np.uint64(_LOWEST_BITS)
    for unit in range(len(bits)):
        _count(bits[unit], digits)
        for k in range(8):
            position = np.uint64(k)
            for w in range(_WORDS):
                count = (digits[0, w] >> position) & mask
                for digit in range(1, _DIGITS):
                    count |= ((digits[digit, w] >> position) & mask) << np.uint64(digit)
                ones[unit, k, w] = count
