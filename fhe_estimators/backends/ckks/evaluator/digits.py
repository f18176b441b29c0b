"""Bits of comparisons from encrypted inputs (server side; see `circuit.comparisons`)."""

from __future__ import annotations

import tenseal.sealapi as seal

from .._context import CKKSContext
from ..circuit.comparisons import ComparisonTable, Recipe
from ..circuit.levels import Schedule
from .bits import EncryptedBit


def compose_bits(
    context: CKKSContext,
    plan: Schedule,
    table: ComparisonTable,
    inputs: dict[int, EncryptedBit],
    relin_keys: seal.RelinKeys,
) -> dict[int, EncryptedBit]:
    """The bit of each used comparison, at the comparison's level.

    Free where comparisons are inputs; otherwise a multiplication, a relinearization, a rescaling and some
    additions a comparison.
    """
    if not table.hides_bins:
        return inputs
    composer = _Composer(context, inputs, relin_keys)
    used = [comparison for comparison, level in enumerate(plan.comparison_levels) if level > 0]
    return {
        comparison: EncryptedBit(composer.bit(table.recipes[comparison], plan), plan.circuit_level)
        for comparison in used
    }


class _Composer:
    def __init__(self, context: CKKSContext, inputs: dict[int, EncryptedBit], relin_keys: seal.RelinKeys):
        self.context = context
        self.inputs = inputs
        self.relin_keys = relin_keys
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)

    def bit(self, recipe: Recipe, plan: Schedule) -> seal.Ciphertext:
        level_id = self.context.level_ids[plan.circuit_level]
        terms = None
        if recipe.terms:
            terms = self._sum(recipe.terms)
            if recipe.negate_terms:
                self.evaluator.negate_inplace(terms)
            if recipe.constant:
                self._add_one(terms)
            self.evaluator.mod_switch_to_inplace(terms, level_id)
        if not recipe.above:
            assert terms is not None, "constant comparisons are merged away"
            return terms
        bit = self._product(recipe)
        if terms is not None:
            self.evaluator.add_inplace(bit, terms)
        return bit

    def _product(self, recipe: Recipe) -> seal.Ciphertext:
        """``(complement +- sum(equal)) * sum(above)``, a level below the inputs, of size 2."""
        equal, above, product = self._sum(recipe.equal), self._sum(recipe.above), seal.Ciphertext()
        if recipe.complement:
            self.evaluator.negate_inplace(equal)
            self._add_one(equal)
        self.evaluator.multiply(equal, above, product)
        # Relinearized before the rescaling, which divides the noise of the key switching away.
        self.evaluator.relinearize_inplace(product, self.relin_keys)
        self.evaluator.rescale_to_next_inplace(product)
        product.scale = self.context.bit_scale(self.context.parameters.n_levels - 1)
        return product

    def _sum(self, indices: tuple[int, ...]) -> seal.Ciphertext:
        total = seal.Ciphertext()
        if len(indices) == 1:
            only = self.inputs[indices[0]].ciphertext
            self.evaluator.mod_switch_to(only, only.parms_id(), total)  # a copy
        else:
            self.evaluator.add_many([self.inputs[index].ciphertext for index in indices], total)
        return total

    def _add_one(self, ciphertext: seal.Ciphertext) -> None:
        plain = seal.Plaintext()
        self.encoder.encode(1.0, ciphertext.parms_id(), ciphertext.scale, plain)
        self.evaluator.add_plain_inplace(ciphertext, plain)
