"""Unpacking of packed bits by Galois automorphisms (server side; see `circuit.packing`)."""

from __future__ import annotations

import tenseal.sealapi as seal

from .._context import CKKSContext
from ..circuit.packing import expansion_of_group, galois_elements
from ..circuit.slots import slot_roots


class Unpacker:
    """Separates the comparisons of packed ciphertexts.

    Parameters
    ----------
    context : CKKSContext
    galois_keys : seal.GaloisKeys
        For `galois_elements` of the expansion.
    """

    def __init__(self, context: CKKSContext, galois_keys: seal.GaloisKeys):
        self.context = context
        self.galois_keys = galois_keys
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)
        self._shifts: dict[tuple[int, int], seal.Plaintext] = {}

    def unpack(self, packed: seal.Ciphertext, n_comparisons: int, level: int) -> list[seal.Ciphertext]:
        """One ciphertext a comparison: ``n_comparisons - 1`` key switchings, no level."""
        rounds = expansion_of_group(n_comparisons)
        parts = [packed]
        for j, element in enumerate(galois_elements(self.context.parameters.poly_modulus_degree, rounds)):
            evens, odds = [], []
            for index, part in enumerate(parts):
                even = seal.Ciphertext()
                evens.append(even)
                if index + 2**j >= n_comparisons:  # nothing was packed into the odd half: twice the even one
                    self.evaluator.add(part, part, even)
                    continue
                image, odd = seal.Ciphertext(), seal.Ciphertext()
                self.evaluator.apply_galois(part, element, self.galois_keys, image)
                self.evaluator.add(part, image, even)
                self.evaluator.sub(part, image, odd)
                self.evaluator.multiply_plain_inplace(odd, self._inverse_power(2**j, level))
                odds.append(odd)
            parts = evens + odds
        return parts

    def _inverse_power(self, exponent: int, level: int) -> seal.Plaintext:
        """``X ** -exponent`` at a level, at scale 1 (its coefficients are integers)."""
        if (exponent, level) not in self._shifts:
            plain = seal.Plaintext()
            slots = slot_roots(self.context.parameters.poly_modulus_degree) ** -exponent
            self.encoder.encode(slots.tolist(), self.context.level_ids[level], 1.0, plain)
            self._shifts[exponent, level] = plain
        return self._shifts[exponent, level]
