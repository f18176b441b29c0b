"""Bits on their way from a request to the windows of lanes (server side; see `circuit.routing`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import tenseal.sealapi as seal

from ..circuit.routing import Routes
from .evaluation_keys import PublicKeys
from .plaintexts import PlaintextCache

#: Galois element of a rotation by one slot.
_ONE_SLOT = 3


class BitRouter:
    """Products of rotated bits and masks, summed up for each block of lanes.

    One rotation is held at a time, and it serves all blocks.

    Parameters
    ----------
    routes : Routes
        Which bit goes where.
    keys : PublicKeys
        The client's evaluation keys.
    cache : PlaintextCache
        The cache of encoded masks.
    """

    def __init__(self, routes: Routes, keys: PublicKeys, cache: PlaintextCache):
        self.routes = routes
        self.keys = keys
        self.cache = cache
        self.evaluator = seal.Evaluator(keys.context.seal_context)

    def routed(self, inputs: Sequence[seal.Ciphertext], blocks: Sequence[int]) -> dict[int, seal.Ciphertext]:
        """Bits in windows, by block."""
        totals: dict[int, seal.Ciphertext] = {}
        product, wanted = seal.Ciphertext(), set(blocks)
        for number, bits in enumerate(inputs):
            for rotation, rotated in self._rotations(bits):
                for block, mask in self.routes.masks(number, rotation):
                    if block not in wanted:
                        continue
                    plain = self.cache.get(("mask", number, rotation, block), partial(self.keys.encode_ntt, mask))
                    if block not in totals:
                        totals[block] = seal.Ciphertext()
                        self.evaluator.multiply_plain(rotated, plain, totals[block])
                    else:
                        self.evaluator.multiply_plain(rotated, plain, product)
                        self.evaluator.add_inplace(totals[block], product)
        for total in totals.values():
            self.evaluator.transform_from_ntt_inplace(total)
        return totals

    def _rotations(self, bits: seal.Ciphertext) -> Iterator[tuple[int, seal.Ciphertext]]:
        """All rotations that bring bits to windows, in NTT form, with the slots that they rotate by."""
        layout, in_ntt_form = self.routes.layout, seal.Ciphertext()
        for start in self.routes.starts:
            current = bits if start == 0 else self._applied(bits, layout.rotation_element(start))
            for step in range(layout.lanes_per_half):
                if step:
                    current = self._applied(current, _ONE_SLOT)
                self.evaluator.transform_to_ntt(current, in_ntt_form)
                yield start * layout.lanes_per_half + step, in_ntt_form

    def _applied(self, ciphertext: seal.Ciphertext, element: int) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.apply_galois(ciphertext, element, self.keys.galois_keys, result)
        return result
