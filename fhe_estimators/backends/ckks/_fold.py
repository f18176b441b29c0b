"""Evaluation of the circuit on ciphertexts. Server side: needs public evaluation keys only.

Every method says what it costs; levels and scales are those of `_schedule`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import tenseal.sealapi as seal

from ._bits import EncryptedBit, EncryptedBits
from ._context import CKKSContext
from ._inputs import FACTOR, TERM
from ._packing import imaginary_units
from ._polynomial import CONSTANT, Branch, LinearForm, Sum, total_linear
from ._schedule import OUTPUT_LEVEL, difference_level

#: Sums of products by level: to be dropped to a common level only when they are needed.
LeveledSum = dict[int, seal.Ciphertext]


@dataclass(frozen=True)
class EvaluationKeys:
    """Public keys as SEAL objects; Galois keys only where a program needs them."""

    relin_keys: seal.RelinKeys
    galois_keys: seal.GaloisKeys | None


class Fold:
    """Evaluates sums of branches over one batch of encrypted bits.

    Parameters
    ----------
    context : CKKSContext
    bits : EncryptedBits
    keys : EvaluationKeys
    """

    def __init__(self, context: CKKSContext, bits: EncryptedBits, keys: EvaluationKeys):
        self.context = context
        self.bits = bits
        self.keys = keys
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)
        self.sum_scale = context.top_scale**2
        self._minus_units: dict[int, seal.Plaintext] = {}

    def evaluate(self, total: Sum, *, clear_imaginary: bool) -> seal.Ciphertext:
        """The encrypted value of a sum that is not constant, at the output level and scale ``T``, size 2.

        With ``clear_imaginary``, for batches with pairs, twice the value: one more key switching.
        """
        products = self._products(total.branches)
        result = self._collect([(products, 1)], OUTPUT_LEVEL)
        result = self._plus_linear(result, total_linear(total), OUTPUT_LEVEL, self.sum_scale)
        if result.size() > 2:
            self.evaluator.relinearize_inplace(result, self.keys.relin_keys)
        if clear_imaginary:
            conjugate = seal.Ciphertext()
            self.evaluator.complex_conjugate(result, self.keys.galois_keys, conjugate)
            self.evaluator.add_inplace(result, conjugate)
        return result

    def _products(self, branches: Iterable[Branch]) -> LeveledSum:
        """Sum of the products of branches and of all that is below their low sides."""
        total: LeveledSum = {}
        for branch in branches:
            low, high = self._products(branch.low.branches), self._products(branch.high.branches)
            product = self._multiply(branch, low, high)
            low_and_product = {**low}
            self._add_into(low_and_product, branch.level, product)
            for level, ciphertext in low_and_product.items():
                self._add_into(total, level, ciphertext)
        return total

    def _multiply(self, branch: Branch, low: LeveledSum, high: LeveledSum) -> seal.Ciphertext:
        """``bit * (high - low)`` of size 3 at scale ``T``: one multiplication; if tall a relinearization too."""
        level = difference_level(branch)
        if branch.height == 2:
            difference = self._plus_linear(None, branch.difference, level, self.context.bit_scale(level, TERM))
        else:
            difference = self._collect([(high, 1), (low, -1)], level)
            difference = self._plus_linear(difference, branch.difference, level, self.sum_scale)
            # Rescaling first makes the key switching cheaper: it then works on a prime less.
            self.evaluator.rescale_to_next_inplace(difference)
            difference.scale = self.sum_scale / self.context.primes[level]
            if difference.size() > 2:
                self.evaluator.relinearize_inplace(difference, self.keys.relin_keys)
        factor = self.bits.at_scale(branch.test, branch.level, self.context.bit_scale(branch.level, FACTOR))
        product = seal.Ciphertext()
        self.evaluator.multiply(difference, factor.ciphertext, product)
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
        imaginary: seal.Ciphertext | None = None
        for test, coefficient in form.items():
            if test == CONSTANT:
                continue
            bit = self._term_bit(test, level, scale)
            if bit.imaginary:
                imaginary = self._add_multiple(imaginary, bit, coefficient, scale)
            else:
                result = self._add_multiple(result, bit, coefficient, scale)
        if imaginary is not None:
            self.evaluator.multiply_plain_inplace(imaginary, self._minus_unit(level))
            imaginary.scale = scale
            result = imaginary if result is None else self._signed_add(result, imaginary, 1)
        assert result is not None, "a linear form over no bits is a constant, which the circuit never sums alone"
        if CONSTANT in form:
            plain = seal.Plaintext()
            self.encoder.encode(float(form[CONSTANT]), self.context.level_ids[level], scale, plain)
            self.evaluator.add_plain_inplace(result, plain)
        return result

    def _term_bit(self, test: int, level: int, scale: float) -> EncryptedBit:
        # At the scale of sums a coefficient has many more bits than it needs: any scale of the bit will do.
        return self.bits.at_level(test, level) if scale == self.sum_scale else self.bits.at_scale(test, level, scale)

    def _add_multiple(
        self, result: seal.Ciphertext | None, bit: EncryptedBit, coefficient: int, scale: float
    ) -> seal.Ciphertext:
        plain, term = seal.Plaintext(), seal.Ciphertext()
        factor = float(coefficient) * (scale / bit.ciphertext.scale)
        self.encoder.encode(factor, self.context.level_ids[bit.level], 1.0, plain)
        self.evaluator.multiply_plain(bit.ciphertext, plain, term)
        term.scale = scale
        if result is None:
            return term
        self.evaluator.add_inplace(result, term)
        return result

    def _minus_unit(self, level: int) -> seal.Plaintext:
        """``-X ** (N / 2)`` at a level, at scale 1: turns imaginary parts into real ones."""
        if level not in self._minus_units:
            plain = seal.Plaintext()
            slots = -imaginary_units(self.context.parameters.poly_modulus_degree)
            self.encoder.encode(slots.tolist(), self.context.level_ids[level], 1.0, plain)
            self._minus_units[level] = plain
        return self._minus_units[level]
