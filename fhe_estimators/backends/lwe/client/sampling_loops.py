"""Compiled loops of the noise: bit-sliced, 64 values in a machine word and eight words in a vector (needs numba).

Nothing here depends on data: every value takes the same instructions, and no memory is addressed by it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .._limb_loops import LOOP_OPTIONS
from .vectors import WIDTH, fill, load, store

_LOWEST_BITS = 0x0101010101010101


@njit(**LOOP_OPTIONS)
def _add(a, b, c):
    """Digit and carry of the sum of three bits, in each position of a word."""
    difference = a ^ b
    return difference ^ c, (a & b) | (difference & c)


@njit(**LOOP_OPTIONS)
def _count_seven(bits, start):
    """Binary digits of the number of ones in seven rows."""
    sum0, carry0 = _add(load(bits, start), load(bits, start + WIDTH), load(bits, start + 2 * WIDTH))
    sum1, carry1 = _add(load(bits, start + 3 * WIDTH), load(bits, start + 4 * WIDTH), load(bits, start + 5 * WIDTH))
    ones, carry2 = _add(sum0, sum1, load(bits, start + 6 * WIDTH))
    twos, fours = _add(carry0, carry1, carry2)
    return ones, twos, fours


@njit(**LOOP_OPTIONS)
def _count(bits, first, stop):
    """Binary digits of the number of ones in each bit position of rows, seven rows at a time."""
    digit0 = digit1 = digit2 = digit3 = digit4 = digit5 = fill(np.uint64(0))
    for start in range(first, stop, 7 * WIDTH):
        ones, twos, fours = _count_seven(bits, start)
        digit0, carry = digit0 ^ ones, digit0 & ones
        digit1, carry = _add(digit1, twos, carry)
        digit2, carry = _add(digit2, fours, carry)
        digit3, carry = digit3 ^ carry, digit3 & carry
        digit4, carry = digit4 ^ carry, digit4 & carry
        digit5 = digit5 ^ carry
    return digit0, digit1, digit2, digit3, digit4, digit5


@njit(**LOOP_OPTIONS)
def count_ones(bits, n_bits, ones):
    """Number of ones that make each value of noise; see `sampling.UNIT_VALUES` for which bits those are.

    Parameters
    ----------
    bits : ndarray of uint64, shape (n_units * n_bits * 8,)
        Uniform.
    n_bits : int
        Rows of a unit, a multiple of seven below 64.
    ones : ndarray of uint64, shape (n_units * 64,)
        The result, a byte a value.
    """
    mask = fill(np.uint64(_LOWEST_BITS))
    one, two, three = fill(np.uint64(1)), fill(np.uint64(2)), fill(np.uint64(3))
    four, five = fill(np.uint64(4)), fill(np.uint64(5))
    row = n_bits * WIDTH
    for unit in range(len(ones) // (8 * WIDTH)):
        digit0, digit1, digit2, digit3, digit4, digit5 = _count(bits, unit * row, (unit + 1) * row)
        for k in range(8):
            position = fill(np.uint64(k))
            low = ((digit0 >> position) & mask) | (((digit1 >> position) & mask) << one)
            middle = (((digit2 >> position) & mask) << two) | (((digit3 >> position) & mask) << three)
            high = (((digit4 >> position) & mask) << four) | (((digit5 >> position) & mask) << five)
            store(ones, (8 * unit + k) * WIDTH, low | middle | high)
