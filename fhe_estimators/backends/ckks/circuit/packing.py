"""Packing several bits of a row into one ciphertext.

Places
------

A batch of expansion ``k`` has places for ``N / 2 ** (k + 1)`` rows and up to ``2 ** k`` bits a ciphertext. The bits
of a ciphertext are the coefficients of ``X ** 0, X ** 1, ...``, each of them a polynomial in ``Y = X ** (2 ** k)``
whose slots are the rows (so each row owns ``2 ** k`` slots of the ring; `slots` says which). ``k = 0`` is the plain
layout with one bit a ciphertext and a row a slot. A ciphertext with few bits is unpacked in fewer rounds than ``k``.

The server separates the bits by rounds of Galois automorphisms ``X -> X ** (N / 2 ** j + 1)``, which negate
exactly the odd powers of ``X ** (2 ** j)``: sum and difference of a ciphertext and its image hold the even and
the odd half. (S. Angel, H. Chen, K. Laine and S. Setty, "PIR with Compressed Queries and Amortized Query
Processing", IEEE S&P 2018, section 3.3, here with rows in the slots of the subring.)

Pairs
-----
A slot is a complex number. Bits that are only ever terms of linear forms with real coefficients, never factors, can
travel in pairs ``b + u c``, where ``u = X ** (N / 2)`` is ``i`` or ``-i`` in each slot: ``a (b + u c) - u d (b + u c)``
has the real part ``a b + d c``. What ends up in the imaginary parts is cleared from the response by adding its
conjugate, so that it tells the client nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .inputs import TERM
from .slots import imaginary_units, row_places, slot_roots


def expansion_of_group(n_bits: int) -> int:
    """Rounds in which a ciphertext with ``n_bits`` bits is unpacked; each round doubles the bits' scale."""
    return (n_bits - 1).bit_length()


def galois_elements(poly_modulus_degree: int, expansion_log2: int) -> list[int]:
    """Automorphisms ``X -> X ** element`` of the first rounds of unpacking."""
    return [poly_modulus_degree // 2**j + 1 for j in range(expansion_log2)]


def conjugation_element(poly_modulus_degree: int) -> int:
    """The automorphism that conjugates all slots."""
    return 2 * poly_modulus_degree - 1


def server_automorphisms(poly_modulus_degree: int, expansion_log2: int, *, uses_pairs: bool) -> list[int]:
    """All automorphisms that the server has keys for. A client makes no others (see `redundancy`)."""
    elements = galois_elements(poly_modulus_degree, expansion_log2)
    return [*elements, conjugation_element(poly_modulus_degree)] if uses_pairs else elements


#: A bit, or a pair of bits in the real and the imaginary parts, by their indices among the inputs.
Place = tuple[int, ...]


@dataclass(frozen=True)
class PackedGroup:
    """What travels in the same ciphertext, and its level."""

    level: int
    places: tuple[Place, ...]


@dataclass(frozen=True, eq=False)
class PackingPlan:
    """How inputs share ciphertexts.

    Parameters
    ----------
    levels : ndarray of shape (n_inputs,), int64
        Level of each input, 0 if it is not sent.
    roles : ndarray of shape (n_inputs,), int64
        `FACTOR` or `TERM`.
    uses_pairs : bool
        Whether terms travel in pairs; responses then come twice as large (see the module's docstring).
    """

    levels: np.ndarray
    roles: np.ndarray
    uses_pairs: bool

    def groups(self, expansion_log2: int) -> Iterator[PackedGroup]:
        """The ciphertexts of a batch, in the order in which they travel."""
        for level in sorted(set(self.levels.tolist()) - {0}, reverse=True):
            inputs = np.flatnonzero(self.levels == level)
            paired = (self.roles[inputs] == TERM) & self.uses_pairs
            places = [*_chunks(inputs[~paired].tolist(), 1), *_chunks(inputs[paired].tolist(), 2)]
            for group in _chunks(places, 2**expansion_log2):
                yield PackedGroup(level, group)


def _chunks(items: list, size: int) -> list[tuple]:
    return [tuple(items[start : start + size]) for start in range(0, len(items), size)]


def pack_bits(bits: np.ndarray, group: PackedGroup, expansion_log2: int, poly_modulus_degree: int) -> np.ndarray:
    """Slot values of one ciphertext. The rows are repeated until all places are taken: the client knows them all.

    Parameters
    ----------
    bits : ndarray of shape (n_samples, n_inputs), bool
        For 1 to `slots.rows_per_batch` rows.
    group : PackedGroup
    expansion_log2, poly_modulus_degree : int

    Returns
    -------
    slots : ndarray of shape (n_slots,), float64 or complex128
    """
    n_orbits = poly_modulus_degree >> (expansion_log2 + 1)
    places = row_places(poly_modulus_degree, expansion_log2)
    powers = 1.0
    if expansion_log2:
        powers = slot_roots(poly_modulus_degree)[:, None] ** np.arange(len(group.places))
        powers = powers.reshape(-1, n_orbits, len(group.places))

    def part(position: int) -> np.ndarray:
        """The real or the imaginary parts of all places, each at its power of X."""
        rows = np.zeros((n_orbits, len(group.places)))
        for column, place in enumerate(group.places):
            if position < len(place):
                rows[places, column] = np.resize(bits[:, place[position]], len(places))
        return (powers * rows).sum(axis=-1).reshape(-1)

    if all(len(place) == 1 for place in group.places):
        return part(0)
    return part(0) + imaginary_units(poly_modulus_degree) * part(1)
