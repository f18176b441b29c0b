"""Packing bits of several tests into one ciphertext, and unpacking them on the server.

With expansion ``k`` a ciphertext carries ``2 ** k`` tests for ``N / 2 ** (k + 1)`` rows. The tests are the
coefficients of ``X ** 0, ..., X ** (2 ** k - 1)``, each of them a polynomial in ``Y = X ** (2 ** k)`` whose slots
are the rows. ``k = 0`` is the plain layout with one test a ciphertext and a row a slot. The server separates
the tests by ``k`` rounds of Galois automorphisms ``X -> X ** (N / 2 ** j + 1)``, which negate exactly the odd
powers of ``X ** (2 ** j)``: sum and difference of a ciphertext and its image hold the even and the odd half.
(S. Angel, H. Chen, K. Laine and S. Setty, "PIR with Compressed Queries and Amortized Query Processing",
IEEE S&P 2018, section 3.3, here with rows in the subring's slots.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


def largest_expansion(n_rows: int, n_slots: int, expansion_log2: int) -> int:
    """The most compact packing, at most ``expansion_log2``, in which ``n_rows`` fit into one batch."""
    return next((k for k in range(expansion_log2, 0, -1) if n_rows <= n_slots >> k), 0)


def galois_elements(poly_modulus_degree: int, expansion_log2: int) -> list[int]:
    """Automorphisms ``X -> X ** element`` of the rounds of unpacking."""
    return [poly_modulus_degree // 2**j + 1 for j in range(expansion_log2)]


@dataclass(frozen=True)
class PackedGroup:
    """Tests that travel in the same ciphertext, and their level."""

    level: int
    tests: tuple[int, ...]


def packed_groups(test_levels: np.ndarray, expansion_log2: int) -> Iterator[PackedGroup]:
    """The ciphertexts of a batch, in the order in which they travel; tests at level 0 are not sent."""
    for level in sorted(set(test_levels.tolist()) - {0}, reverse=True):
        tests = np.flatnonzero(test_levels == level).tolist()
        for start in range(0, len(tests), 2**expansion_log2):
            yield PackedGroup(level, tuple(tests[start : start + 2**expansion_log2]))


def slot_roots(poly_modulus_degree: int) -> np.ndarray:
    """Points at which SEAL's slots evaluate a polynomial, shape (N/2,): ``zeta ** (3 ** j)``."""
    exponents = np.empty(poly_modulus_degree // 2, dtype=np.int64)
    power = 1
    for j in range(len(exponents)):
        exponents[j] = power
        power = power * 3 % (2 * poly_modulus_degree)
    return np.exp(1j * np.pi * exponents / poly_modulus_degree)


def pack_bits(bits: np.ndarray, expansion_log2: int, roots: np.ndarray) -> np.ndarray:
    """Slot values of one ciphertext.

    Parameters
    ----------
    bits : ndarray of shape (n_rows, n_tests), bool
        At most ``len(roots) >> expansion_log2`` rows and ``2 ** expansion_log2`` tests.
    expansion_log2 : int
    roots : ndarray of shape (n_slots,)
        From `slot_roots`.

    Returns
    -------
    slots : ndarray of shape (n_slots,), float64 if ``expansion_log2`` is 0, else complex128
    """
    n_rows = len(roots) >> expansion_log2
    rows = np.zeros((n_rows, bits.shape[1]))
    rows[: len(bits)] = bits
    if expansion_log2 == 0:
        return rows[:, 0]
    powers = roots[:, None] ** np.arange(bits.shape[1])
    return np.einsum("art,rt->ar", powers.reshape(-1, n_rows, bits.shape[1]), rows).reshape(-1)


def rows_from_slots(slots: np.ndarray, expansion_log2: int) -> np.ndarray:
    """Mean over the copies of each row's slot, shape (n_slots >> expansion_log2,)."""
    return slots.reshape(2**expansion_log2, -1).mean(axis=0)
