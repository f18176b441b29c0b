"""Packing several bits of a row into one ciphertext, and unpacking them on the server.

A batch of expansion ``k`` holds ``N / 2 ** (k + 1)`` rows and up to ``2 ** k`` bits a ciphertext. The bits of a
ciphertext are the coefficients of ``X ** 0, X ** 1, ...``, each of them a polynomial in ``Y = X ** (2 ** k)``
whose slots are the rows (so each row owns ``2 ** k`` slots of the ring). ``k = 0`` is the plain layout with one
bit a ciphertext and a row a slot. A ciphertext with few bits is unpacked in fewer rounds than ``k``.

The server separates the bits by rounds of Galois automorphisms ``X -> X ** (N / 2 ** j + 1)``, which negate
exactly the odd powers of ``X ** (2 ** j)``: sum and difference of a ciphertext and its image hold the even and
the odd half. (S. Angel, H. Chen, K. Laine and S. Setty, "PIR with Compressed Queries and Amortized Query
Processing", IEEE S&P 2018, section 3.3, here with rows in the slots of the subring.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


def largest_expansion(n_rows: int, n_slots: int, expansion_log2: int) -> int:
    """The most compact packing, at most ``expansion_log2``, in which ``n_rows`` fit into one batch."""
    return next((k for k in range(expansion_log2, 0, -1) if n_rows <= n_slots >> k), 0)


def expansion_of_group(n_bits: int) -> int:
    """Rounds in which a ciphertext with ``n_bits`` bits is unpacked; each round doubles the bits' scale."""
    return (n_bits - 1).bit_length()


def galois_elements(poly_modulus_degree: int, expansion_log2: int) -> list[int]:
    """Automorphisms ``X -> X ** element`` of the first rounds of unpacking."""
    return [poly_modulus_degree // 2**j + 1 for j in range(expansion_log2)]


@dataclass(frozen=True)
class PackedGroup:
    """Inputs that travel in the same ciphertext, and their level."""

    level: int
    inputs: tuple[int, ...]


def packed_groups(levels: np.ndarray, expansion_log2: int) -> Iterator[PackedGroup]:
    """The ciphertexts of a batch, in the order in which they travel; inputs at level 0 are not sent."""
    for level in sorted(set(levels.tolist()) - {0}, reverse=True):
        inputs = np.flatnonzero(levels == level).tolist()
        for start in range(0, len(inputs), 2**expansion_log2):
            yield PackedGroup(level, tuple(inputs[start : start + 2**expansion_log2]))


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
    bits : ndarray of shape (n_rows, n_bits), bool
        At most ``len(roots) >> expansion_log2`` rows and ``2 ** expansion_log2`` bits.
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
