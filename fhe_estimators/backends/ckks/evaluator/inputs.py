"""The inputs of a batch, loaded and unpacked ciphertext by ciphertext when one of them is asked for (server side)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..circuit.packing import PackedGroup
from .arithmetic import Arithmetic, Encrypted
from .bits import EncryptedBit
from .unpacking import Unpacker


class LazyInputs:
    """Makes the bits of inputs; keeps of them what is packed.

    Parameters
    ----------
    arithmetic : Arithmetic
    groups : sequence of PackedGroup
        The ciphertexts of the batch.
    load : callable
        From the index of a ciphertext to its `Encrypted`.
    poly_modulus_degree : int
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        groups: Sequence[PackedGroup],
        load: Callable[[int], Encrypted],
        poly_modulus_degree: int,
    ):
        self._arithmetic = arithmetic
        self._groups = groups
        self._load = load
        self._poly_modulus_degree = poly_modulus_degree
        self._unpackers: dict[int, Unpacker] = {}
        self._positions = {
            index: (number, position)
            for number, group in enumerate(groups)
            for position, place in enumerate(group.places)
            for index in place
        }

    def make(self, index: int) -> dict[int, EncryptedBit]:
        """An input and, of a pair, the other one, at the exact scale that the program counts on; each once."""
        number, position = self._positions[index]
        group = self._groups[number]
        if number not in self._unpackers:
            packed, n_places = self._load(number), len(group.places)
            self._unpackers[number] = Unpacker(self._arithmetic, packed, n_places, self._poly_modulus_degree)
        part = self._unpackers[number].take(position)
        # A message cannot set its own scale.
        part = self._arithmetic.made(part.ciphertext, group.level, 2, self._arithmetic.scales[group.level])
        return {other: EncryptedBit(part, imaginary=half == 1) for half, other in enumerate(group.places[position])}
