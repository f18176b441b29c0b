"""Sums of leaf values from indicators (server side)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial

import numpy as np
import tenseal.sealapi as seal

from ...seal.file import SealFile
from ..circuit.diagonals import leaf_slots
from ..circuit.layout import Layout
from ..parameters import PLAIN_MODULUS
from ..program import BFVProgram
from .evaluation_keys import PublicKeys
from .plaintexts import PlaintextCache


class LeafSums:
    """Products of indicators and digits of leaf values, summed over the blocks of a batch.

    A result has the reached leaves' digits in slots. They are summed up over the positions of each lane, so that all of
    them have the same value: redundancy, by which clients notice what no evaluation gives. Then random numbers that
    add up to zero for each sample are added to the lanes: the client learns the sum and nothing else.

    Parameters
    ----------
    program : BFVProgram
        The program, which has the leaves' values.
    keys : PublicKeys
        The client's evaluation keys; their context encodes the values.
    layout : Layout
        The layout of the batch.
    cache : PlaintextCache
        The cache of encoded leaf values.
    """

    def __init__(self, program: BFVProgram, keys: PublicKeys, layout: Layout, cache: PlaintextCache):
        self.program = program
        self.keys = keys
        self.cache = cache
        self.context = keys.context
        self.layout = layout
        self.evaluator = seal.Evaluator(keys.context.seal_context)
        self._totals: list[seal.Ciphertext | None] = [None] * program.n_outputs

    def add(self, indicators: seal.Ciphertext, block: int) -> None:
        """Add a block's leaves."""
        self.evaluator.transform_to_ntt_inplace(indicators)
        for number in range(self.program.n_outputs):
            plain = self.cache.get(("values", self.layout, number, block), partial(self._values, number, block))
            if plain is not None:
                product = seal.Ciphertext()
                self.evaluator.multiply_plain(indicators, plain, product)
                self._add(number, product)

    def _values(self, number: int, block: int) -> seal.Plaintext | None:
        values = leaf_slots(self.layout, self.program.output_values[number], block)
        return self.keys.encode_ntt(values * self.program.zero_test.factor % PLAIN_MODULUS) if values.any() else None

    def _add(self, number: int, product: seal.Ciphertext) -> None:
        total = self._totals[number]
        if total is None:
            self._totals[number] = product
        else:
            self.evaluator.add_inplace(total, product)

    def dump(self, file: SealFile) -> list[bytes]:
        """The sums of this process' blocks, for the process that adds them up; empty where there are none."""
        return [b"" if total is None else file.dump(total) for total in self._totals]

    def merge(self, file: SealFile, blobs: Sequence[bytes]) -> None:
        """Add the sums of another process."""
        for number, blob in enumerate(blobs):
            if blob:
                self._add(number, file.load(seal.Ciphertext(), self.context, blob, "sum of a process"))

    def results(self) -> list[seal.Ciphertext]:
        """The masked sums, modulo one prime."""
        results = []
        for total in self._totals:
            assert total is not None, "an output has a leaf that is not 0"
            self.evaluator.transform_from_ntt_inplace(total)
            self.evaluator.mod_switch_to_inplace(total, self.context.folding_id)
            for positions in self.layout.result_folds:
                self._fold(total, positions)
            if self.layout.n_lanes > self.layout.n_samples:
                mask = self.layout.repeat_lanes(self._zero_sum_mask())
                self.evaluator.add_plain_inplace(total, self.context.encode(mask))
            self.evaluator.mod_switch_to_inplace(total, self.context.last_id)
            results.append(total)
        return results

    def _fold(self, total: seal.Ciphertext, positions: int) -> None:
        rotated = seal.Ciphertext()
        element = self.layout.rotation_element(positions)
        self.evaluator.apply_galois(total, element, self.keys.galois_keys, rotated)
        self.evaluator.add_inplace(total, rotated)

    def _zero_sum_mask(self) -> np.ndarray:
        """Uniform numbers modulo p for lanes, which add up to zero for each sample; from the system's generator."""
        words = np.frombuffer(os.urandom(8 * self.layout.n_lanes), dtype=np.uint64)
        mask = (words % PLAIN_MODULUS).astype(np.int64)  # 2^64 words on p residues: no bias that could be seen
        first = self.layout.lane(np.arange(self.layout.n_samples), 0, 0)
        mask[first] -= self.layout.sum_by_sample(mask, PLAIN_MODULUS)
        return mask % PLAIN_MODULUS
