"""Evaluation of the circuit on ciphertexts. Server side: needs relinearization keys only.

Every method says what it costs; levels and scales are those of `_schedule`.
"""

from __future__ import annotations

from collections.abc import Iterable

import tenseal.sealapi as seal

from ._context import CKKSContext
from ._polynomial import CONSTANT, Branch, LinearForm, Sum, total_linear
from ._schedule import OUTPUT_LEVEL, Schedule

#: Sums of products by level: to be dropped to a common level only when they are needed.
LeveledSum = dict[int, seal.Ciphertext]


class Fold:
    """Evaluates sums of branches over one batch of encrypted bits.

    Parameters
    ----------
    context : CKKSContext
    plan : Schedule
    bits : dict of int to seal.Ciphertext
        The bit of each test at the test's level and that level's bit scale.
    relin_keys : seal.RelinKeys
    """

    def __init__(
        self, context: CKKSContext, plan: Schedule, bits: dict[int, seal.Ciphertext], relin_keys: seal.RelinKeys
    ):
        self.context = context
        self.plan = plan
        self.bits = bits
        self.relin_keys = relin_keys
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)
        self.sum_scale = context.top_scale**2
        self._dropped: dict[tuple[int, int], seal.Ciphertext] = {}
        self._scaled: dict[tuple[int, int], seal.Ciphertext] = {}

    def evaluate(self, total: Sum) -> seal.Ciphertext:
        """The encrypted value of a sum that is not constant, at the output level and scale ``T``, size 2."""
        products = self._products(total.branches)
        result = self._collect([(products, 1)], OUTPUT_LEVEL)
        result = self._plus_linear(result, total_linear(total), OUTPUT_LEVEL, self.sum_scale)
        if result.size() > 2:
            self.evaluator.relinearize_inplace(result, self.relin_keys)
        return result

    def _products(self, branches: Iterable[Branch]) -> LeveledSum:
        """Sum of the products of branches and of all that is below their low sides."""
        total: LeveledSum = {}
        for branch in branches:
            low, high = self._products(branch.low.branches), self._products(branch.high.branches)
            product = self._multiply(branch, low, high)
            low_and_product = {**low}
            self._add_into(low_and_product, self.plan.product_level(branch), product)
            for level, ciphertext in low_and_product.items():
                self._add_into(total, level, ciphertext)
        return total

    def _multiply(self, branch: Branch, low: LeveledSum, high: LeveledSum) -> seal.Ciphertext:
        """``bit * (high - low)`` of size 3 at scale ``T``: one multiplication; if tall a relinearization too."""
        level = self.plan.difference_level(branch)
        if branch.height == 2:
            difference = self._plus_linear(None, branch.difference, level, self.context.top_scale)
        else:
            difference = self._collect([(high, 1), (low, -1)], level)
            difference = self._plus_linear(difference, branch.difference, level, self.sum_scale)
            # Rescaling first makes the key switching cheaper: it then works on a prime less.
            self.evaluator.rescale_to_next_inplace(difference)
            difference.scale = self.sum_scale / self.context.primes[level]
            if difference.size() > 2:
                self.evaluator.relinearize_inplace(difference, self.relin_keys)
        product = seal.Ciphertext()
        self.evaluator.multiply(difference, self._scaled_bit(branch.test, self.plan.product_level(branch)), product)
        product.scale = self.sum_scale
        return product

    def _add_into(self, total: LeveledSum, level: int, ciphertext: seal.Ciphertext) -> None:
        if level in total:
            summed = seal.Ciphertext()
            self.evaluator.add(total[level], ciphertext, summed)
            total[level] = summed
        else:
            total[level] = ciphertext

    def _collect(self, signed_sums: list[tuple[LeveledSum, int]], level: int) -> seal.Ciphertext | None:
        """Signed sum of leveled sums, dropped to ``level``; None if there is nothing to sum."""
        result: seal.Ciphertext | None = None
        for at in sorted({at for leveled, _ in signed_sums for at in leveled}, reverse=True):
            if result is not None:
                self.evaluator.mod_switch_to_inplace(result, self.context.level_ids[at])
            for leveled, sign in signed_sums:
                if at in leveled:
                    result = self._signed_add(result, leveled[at], sign)
        if result is not None:
            self.evaluator.mod_switch_to_inplace(result, self.context.level_ids[level])
        return result

    def _signed_add(self, result: seal.Ciphertext | None, other: seal.Ciphertext, sign: int) -> seal.Ciphertext:
        out = seal.Ciphertext()
        if result is None and sign > 0:
            self.evaluator.mod_switch_to(other, other.parms_id(), out)  # a copy: sums are updated in place
        elif result is None:
            self.evaluator.negate(other, out)
        elif sign > 0:
            self.evaluator.add(result, other, out)
        else:
            self.evaluator.sub(result, other, out)
        return out

    def _plus_linear(
        self, result: seal.Ciphertext | None, form: LinearForm, level: int, scale: float
    ) -> seal.Ciphertext:
        """Add a linear form at a level and scale: one plain multiplication by an integer a term, no level."""
        plain, level_id = seal.Plaintext(), self.context.level_ids[level]
        for test, coefficient in form.items():
            if test == CONSTANT:
                continue
            bit = self._dropped_bit(test, level)
            self.encoder.encode(float(coefficient) * (scale / bit.scale), level_id, 1.0, plain)
            term = seal.Ciphertext()
            self.evaluator.multiply_plain(bit, plain, term)
            term.scale = scale
            if result is None:
                result = term
            else:
                self.evaluator.add_inplace(result, term)
        assert result is not None, "a linear form over no bits is a constant, which the circuit never sums alone"
        if CONSTANT in form:
            self.encoder.encode(float(form[CONSTANT]), level_id, scale, plain)
            self.evaluator.add_plain_inplace(result, plain)
        return result

    def _dropped_bit(self, test: int, level: int) -> seal.Ciphertext:
        """A bit at a lower level, at the scale it came with: drops primes."""
        if level == self.plan.test_levels[test]:
            return self.bits[test]
        if (test, level) not in self._dropped:
            dropped = seal.Ciphertext()
            self.evaluator.mod_switch_to(self.bits[test], self.context.level_ids[level], dropped)
            self._dropped[test, level] = dropped
        return self._dropped[test, level]

    def _scaled_bit(self, test: int, level: int) -> seal.Ciphertext:
        """A bit at a level and that level's bit scale: shared; a plain multiplication and a rescaling at most."""
        own_level, scale = int(self.plan.test_levels[test]), self.context.bit_scale(level)
        if self.bits[test].scale == scale:
            return self._dropped_bit(test, level)
        if (test, level) not in self._scaled:
            prime = self.context.primes[own_level]
            plain, scaled = seal.Plaintext(), seal.Ciphertext()
            factor = round(scale * prime / self.bits[test].scale)
            self.encoder.encode(float(factor), self.context.level_ids[own_level], 1.0, plain)
            self.evaluator.multiply_plain(self.bits[test], plain, scaled)
            self.evaluator.rescale_to_next_inplace(scaled)
            scaled.scale = scale
            self.evaluator.mod_switch_to_inplace(scaled, self.context.level_ids[level])
            self._scaled[test, level] = scaled
        return self._scaled[test, level]
