"""Slots of the ring, and which of them rows may use.

A batch of expansion ``k`` gives each row ``2 ** k`` slots, an orbit of the automorphisms that unpack it. The slots of
an orbit evaluate a polynomial at ``exp(i pi t / N)`` for the exponents ``t`` of a residue class modulo ``2N / 2 ** k``.

Not all slots are equally quiet. SEAL's key switching adds a multiple of ``1 + X + ... + X ** (N - 1)`` to the noise,
which is ``2 / (1 - exp(i pi t / N))`` in a slot, about ``2N / (pi t)``: large where ``t`` is small, and the same for
all that was unpacked with the same keys (see `ring_noise`). So packed rows take the quietest orbits first, and the
loudest eighth of them stays empty.
"""

from __future__ import annotations

from functools import cache

import numpy as np

#: One orbit in so many holds no row.
_ORBITS_PER_EMPTY_ONE = 8


def rows_per_batch(n_slots: int, expansion_log2: int) -> int:
    """Rows that fit into one batch: a row a slot in the plain layout, fewer than there are orbits in a packed one."""
    n_orbits = n_slots >> expansion_log2
    return n_orbits - n_orbits // _ORBITS_PER_EMPTY_ONE if expansion_log2 else n_orbits


def largest_expansion(n_rows: int, n_slots: int, expansion_log2: int) -> int:
    """The most compact packing, at most ``expansion_log2``, in which ``n_rows`` fit into one batch."""
    return next((k for k in range(expansion_log2, 0, -1) if n_rows <= rows_per_batch(n_slots, k)), 0)


@cache
def row_places(poly_modulus_degree: int, expansion_log2: int) -> np.ndarray:
    """The orbit of each row of a batch, shape (rows_per_batch,), int64; the quietest first."""
    n_orbits = poly_modulus_degree >> (expansion_log2 + 1)
    if expansion_log2 == 0:
        return np.arange(n_orbits)
    period = 4 * n_orbits
    smallest = _slot_exponents(poly_modulus_degree)[:n_orbits] % period
    smallest = np.minimum(smallest, period - smallest)  # conjugates are slots, too
    places = np.argsort(-smallest)[: rows_per_batch(poly_modulus_degree // 2, expansion_log2)]
    places.setflags(write=False)
    return places


@cache
def digit_mean_gains(poly_modulus_degree: int, expansion_log2: int) -> np.ndarray:
    """Size of ``1 + X + ... + X ** (N - 1)`` in the slots of each row, shape (rows_per_batch,), float64.

    Root of the sum of squares over the row's orbit, in the order of `row_places`.
    """
    slots = np.abs(2 / (1 - slot_roots(poly_modulus_degree))).reshape(2**expansion_log2, -1)
    gains = np.sqrt((slots**2).sum(axis=0))[row_places(poly_modulus_degree, expansion_log2)]
    gains.setflags(write=False)
    return gains


@cache
def _slot_exponents(poly_modulus_degree: int) -> np.ndarray:
    """``3 ** j`` modulo 2N, shape (N/2,), int64."""
    exponents = np.empty(poly_modulus_degree // 2, dtype=np.int64)
    power = 1
    for j in range(len(exponents)):
        exponents[j] = power
        power = power * 3 % (2 * poly_modulus_degree)
    return exponents


@cache
def slot_roots(poly_modulus_degree: int) -> np.ndarray:
    """Points at which SEAL's slots evaluate a polynomial, shape (N/2,): ``zeta ** (3 ** j)``."""
    roots = np.exp(1j * np.pi * _slot_exponents(poly_modulus_degree) / poly_modulus_degree)
    roots.setflags(write=False)
    return roots


@cache
def imaginary_units(poly_modulus_degree: int) -> np.ndarray:
    """Slots of ``X ** (N / 2)``, shape (N/2,): ``i`` or ``-i``, exactly."""
    units = 1j * np.sign((slot_roots(poly_modulus_degree) ** (poly_modulus_degree // 2)).imag)
    units.setflags(write=False)
    return units
