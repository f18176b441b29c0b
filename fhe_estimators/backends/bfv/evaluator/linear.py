"""Costs of the leaves: the product of a plain matrix and encrypted bits (server side)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import tenseal.sealapi as seal

from ..circuit.diagonals import BlockDiagonals, block_diagonals
from ..circuit.layout import Layout
from ..parameters import PLAIN_MODULUS
from ..program import BFVProgram
from .evaluation_keys import PublicKeys
from .plaintexts import PlaintextCache

#: Diagonals of a block, sorted when the first one is needed that is not kept.
Diagonals = Callable[[], BlockDiagonals]


class CostEvaluator:
    """Costs of one batch, a block of leaves after the other.

    Rotations cost a key switching each: the baby steps once, the giant steps and folds for each block. Products with
    diagonals are in NTT form, where they are cheap.

    Parameters
    ----------
    program : BFVProgram
        The program, which has the matrix.
    keys : PublicKeys
        The client's evaluation keys.
    layout : Layout
        The layout of the batch.
    cache : PlaintextCache
        The cache of encoded diagonals.
    """

    def __init__(self, program: BFVProgram, keys: PublicKeys, layout: Layout, cache: PlaintextCache):
        self.program = program
        self.keys = keys
        self.layout = layout
        self.cache = cache
        self.evaluator = seal.Evaluator(keys.context.seal_context)

    def rotated_bits(self, bits: seal.Ciphertext) -> list[seal.Ciphertext]:
        """The bits rotated by 0, 1, ... positions, in NTT form."""
        rotated = [bits]
        for _ in range(min(self.program.baby_steps, self.layout.n_diagonals) - 1):
            rotated.append(self._rotate(rotated[-1], 1))
        for ciphertext in rotated:
            self.evaluator.transform_to_ntt_inplace(ciphertext)
        return rotated

    def costs(self, rotated: list[seal.Ciphertext], block: int) -> seal.Ciphertext:
        """Costs of a block's leaves at their slots; what is elsewhere means nothing."""
        diagonals = cache(lambda: block_diagonals(self.program.matrix, self.layout, block, self.program.baby_steps))
        total = self._giant_steps(rotated, diagonals, block)
        for step in self.layout.share_folds:
            self.evaluator.add_inplace(total, self._applied(total, self.layout.lane_element(step)))
        for positions in self.layout.stretch_folds:
            self.evaluator.add_inplace(total, self._rotate(total, positions))
        constant = self.cache.get(
            (self.layout, block), lambda: self.keys.context.encode(diagonals().constant % PLAIN_MODULUS)
        )
        self.evaluator.add_plain_inplace(total, constant)
        return total

    def _giant_steps(self, rotated: list[seal.Ciphertext], diagonals: Diagonals, block: int) -> seal.Ciphertext:
        total = None
        for giant in reversed(range(-(-self.layout.n_diagonals // len(rotated)))):
            if total is not None:
                total = self._rotate(total, self.program.baby_steps)
            inner = self._baby_steps(rotated, diagonals, block, giant)
            if inner is not None and total is not None:
                self.evaluator.add_inplace(total, inner)
            elif inner is not None:
                total = inner
        assert total is not None, "every leaf of the circuit depends on a bit"
        return total

    def _baby_steps(
        self, rotated: list[seal.Ciphertext], diagonals: Diagonals, block: int, giant: int
    ) -> seal.Ciphertext | None:
        """Sum of the products of a giant step, out of NTT form; None if all its diagonals are 0."""
        total, product = None, seal.Ciphertext()
        for baby, bits in enumerate(rotated):
            number = giant * self.program.baby_steps + baby
            plain = self.cache.get((self.layout, block, number), partial(self._diagonal, diagonals, number))
            if plain is None:
                continue
            self.evaluator.multiply_plain(bits, plain, product)
            if total is None:
                total, product = product, seal.Ciphertext()
            else:
                self.evaluator.add_inplace(total, product)
        if total is not None:
            self.evaluator.transform_from_ntt_inplace(total)
        return total

    def _diagonal(self, diagonals: Diagonals, number: int) -> seal.Plaintext | None:
        slots: np.ndarray | None = diagonals().plain(number, self.layout.degree, PLAIN_MODULUS)
        return None if slots is None else self.keys.encode_ntt(slots)

    def _rotate(self, ciphertext: seal.Ciphertext, positions: int) -> seal.Ciphertext:
        return self._applied(ciphertext, self.layout.rotation_element(positions))

    def _applied(self, ciphertext: seal.Ciphertext, element: int) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.apply_galois(ciphertext, element, self.keys.galois_keys, result)
        return result
