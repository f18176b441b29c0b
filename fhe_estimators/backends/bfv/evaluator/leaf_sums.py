"""Sums of leaf values from indicators (server side)."""

from __future__ import annotations

import os

import numpy as np
import tenseal.sealapi as seal

from ..circuit.diagonals import leaf_slots
from ..circuit.layout import Layout
from ..parameters import PLAIN_MODULUS
from ..program import BFVProgram
from .evaluation_keys import PublicKeys


class LeafSums:
    """Products of indicators and digits of leaf values, summed over the blocks of a batch.

    A result has the reached leaves' digits in slots. Before it leaves, random numbers that add up to zero for each
    sample are added to all slots: the client learns the sum and nothing else.

    Parameters
    ----------
    program : BFVProgram
        The program, which has the leaves' values.
    keys : PublicKeys
        The client's evaluation keys; their context encodes the values.
    layout : Layout
        The layout of the batch.
    """

    def __init__(self, program: BFVProgram, keys: PublicKeys, layout: Layout):
        self.program = program
        self.context = keys.context
        self.layout = layout
        self.evaluator = seal.Evaluator(keys.context.seal_context)
        self._totals: list[seal.Ciphertext | None] = [None] * program.n_outputs

    def add(self, indicators: seal.Ciphertext, block: int) -> None:
        """Add a block's leaves."""
        factor = self.program.zero_test.factor
        self.evaluator.transform_to_ntt_inplace(indicators)
        for number, of_leaves in enumerate(self.program.output_values()):
            values = leaf_slots(self.layout, of_leaves, block)
            if not values.any():
                continue
            plain, product = self.context.encode(values * factor % PLAIN_MODULUS), seal.Ciphertext()
            self.evaluator.transform_to_ntt_inplace(plain, indicators.parms_id())
            self.evaluator.multiply_plain(indicators, plain, product)
            total = self._totals[number]
            if total is None:
                self._totals[number] = product
            else:
                self.evaluator.add_inplace(total, product)

    def results(self) -> list[seal.Ciphertext]:
        """The masked sums, modulo one prime."""
        for total in self._totals:
            assert total is not None, "an output has a leaf that is not 0"
            self.evaluator.transform_from_ntt_inplace(total)
            self.evaluator.add_plain_inplace(total, self.context.encode(self._zero_sum_mask()))
            self.evaluator.mod_switch_to_inplace(total, self.context.last_id)
        return [total for total in self._totals if total is not None]

    def _zero_sum_mask(self) -> np.ndarray:
        """Uniform numbers modulo p in all slots, which add up to zero for each sample; from the system's generator."""
        words = np.frombuffer(os.urandom(8 * self.layout.degree), dtype=np.uint64)
        mask = (words % PLAIN_MODULUS).astype(np.int64)  # 2^64 words on p residues: no bias that could be seen
        n_samples = self.layout.n_samples
        first = self.layout.slot(np.zeros(n_samples, dtype=np.int64), self.layout.lane(np.arange(n_samples), 0, 0))
        mask[first] -= self.layout.sum_by_sample(mask, n_samples, PLAIN_MODULUS)
        return mask % PLAIN_MODULUS
