"""Unpacking of packed bits by Galois automorphisms (server side; see `circuit.packing`)."""

from __future__ import annotations

from ..circuit.packing import expansion_of_group, galois_elements
from .arithmetic import Arithmetic, Encrypted


class Unpacker:
    """Separates the places of a packed ciphertext, each when it is asked for: ``n_places - 1`` key switchings in all.

    What was separated on the way to a place and not asked for yet stays packed as far as it is, which takes less
    memory than all bits.

    Parameters
    ----------
    arithmetic : Arithmetic
        With keys for `galois_elements` of the expansion.
    packed : Encrypted
    n_places : int
    poly_modulus_degree : int
    """

    def __init__(self, arithmetic: Arithmetic, packed: Encrypted, n_places: int, poly_modulus_degree: int):
        self._arithmetic = arithmetic
        self._n_places = n_places
        self._elements = galois_elements(poly_modulus_degree, expansion_of_group(n_places))
        #: Parts after a number of rounds: they hold the places that are equal to their index modulo ``2 ** rounds``.
        self._parts = {(0, 0): packed}

    def take(self, place: int) -> Encrypted:
        """The ciphertext of a place; each can be taken once. No level."""
        rounds = len(self._elements)
        while (rounds, place % 2**rounds) not in self._parts:
            rounds -= 1
        part = self._parts.pop((rounds, place % 2**rounds))
        for j in range(rounds, len(self._elements)):
            index = place % 2**j
            odd = self._split(part, j, index)  # the part itself becomes the even one
            if place >> j & 1:
                assert odd is not None
                self._parts[j + 1, index], part = part, odd
            elif odd is not None:
                self._parts[j + 1, index + 2**j] = odd
        return part

    def _split(self, part: Encrypted, j: int, index: int) -> Encrypted | None:
        """Leave the even half of a part in it, and return the odd one, if there is one: one key switching."""
        if index + 2**j >= self._n_places:  # nothing was packed into the odd half: twice the even one
            self._arithmetic.add(part, part)
            return None
        image = self._arithmetic.automorphism(part, self._elements[j])
        odd = self._arithmetic.signed(part, 1)
        self._arithmetic.add(odd, image, -1)
        self._arithmetic.shift(odd, 2**j)
        self._arithmetic.add(part, image)
        return odd
