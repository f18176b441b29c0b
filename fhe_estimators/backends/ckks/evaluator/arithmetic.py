"""Evaluation of the circuit on ciphertexts. Server side: needs public evaluation keys only.

Every method says what it costs; levels and scales are those of `circuit.levels`.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import tenseal.sealapi as seal

from ....utils import progress_bar
from ..circuit.levels import OUTPUT_LEVEL, Schedule
from ..circuit.merged_trees import CONSTANT, LinearForm
from ..circuit.products import Affine, Product
from ..circuit.slots import imaginary_units
from .bits import EncryptedBit, EncryptedBits
from .evaluation_keys import PublicKeys


class CircuitEvaluator:
    """Evaluates a circuit over one batch of encrypted bits.

    Each product is added to all sums it is part of as soon as it is computed, and is then forgotten: what stays in
    memory are the unfinished sums.

    Parameters
    ----------
    keys : PublicKeys
    plan : Schedule
    bits : EncryptedBits
    """

    def __init__(self, keys: PublicKeys, plan: Schedule, bits: EncryptedBits):
        self.keys = keys
        self.plan = plan
        self.bits = bits
        self.context = keys.context
        self.evaluator = seal.Evaluator(self.context.seal_context)
        self.encoder = seal.CKKSEncoder(self.context.seal_context)
        self._minus_units: dict[int, seal.Plaintext] = {}
        #: Sums of products, by the level of the products; and factors made of them, by their level.
        self._sums: dict[Affine, dict[int, seal.Ciphertext]] = defaultdict(dict)
        self._factors: dict[tuple[Affine, int], seal.Ciphertext] = {}
        self._memberships: dict[Product, list[tuple[Affine, int]]] = defaultdict(list)
        self._uses_left: Counter[Affine] = Counter()
        for affine in self._affines():
            for product, coefficient in affine.products.items():
                self._memberships[product].append((affine, coefficient))

    def _affines(self) -> set[Affine]:
        """All that is made of products; counts how often each is a factor."""
        found = set(self.plan.outputs)
        for product in self.plan.products:
            for factor, _ in product.operands():
                self._uses_left[factor] += 1
                found.add(factor)
        return found

    def evaluate(self, *, clear_imaginary: bool, verbose: int = 0) -> list[seal.Ciphertext]:
        """The encrypted scores that are not constant, at the output level and scale ``beta_1 ** 2``, of size 2.

        With ``clear_imaginary``, for batches with pairs, twice the scores: one more key switching each.
        """
        products = self.plan.products[::-1]
        for product in progress_bar(products, description="evaluate", verbose=verbose):
            ciphertext = self._multiply(product)
            for affine, coefficient in self._memberships.pop(product):
                self._add_product(affine, product.level, ciphertext, coefficient)
        return [
            self._answer(output, clear_imaginary=clear_imaginary)
            for output in self.plan.outputs
            if not output.is_constant
        ]

    def _answer(self, output: Affine, *, clear_imaginary: bool) -> seal.Ciphertext:
        result = self._total(output, OUTPUT_LEVEL)
        if result.size() > 2:
            self.evaluator.relinearize_inplace(result, self.keys.relin_keys)
        if clear_imaginary:
            conjugate = seal.Ciphertext()
            self.evaluator.complex_conjugate(result, self.keys.galois_keys, conjugate)
            self.evaluator.add_inplace(result, conjugate)
        return result

    def _multiply(self, product: Product) -> seal.Ciphertext:
        """A product of size 3 at scale ``beta ** 2``: one multiplication."""
        result = seal.Ciphertext()
        indicator = self._factor(product.indicator, product.level, is_indicator=True)
        value = self._factor(product.value, product.level, is_indicator=product.is_indicator)
        self.evaluator.multiply(indicator, value, result)
        result.scale = self.context.bit_scale(product.level) ** 2
        return result

    def _factor(self, affine: Affine, level: int, *, is_indicator: bool) -> seal.Ciphertext:
        """A factor at a level and scale ``beta``: a rescaling and a relinearization if it holds products."""
        bit = affine.single_bit
        if is_indicator and bit is not None:
            return self.bits.at_scale(bit, level).ciphertext
        if not affine.products:
            return self._plus_linear(None, affine.linear, level, self.context.bit_scale(level))
        if (affine, level) not in self._factors:
            factor = self._total(affine, level + 1, is_indicator=is_indicator)
            self._rescale(factor, is_indicator=is_indicator)
            factor.scale = self.context.bit_scale(level)
            if factor.size() > 2:
                self.evaluator.relinearize_inplace(factor, self.keys.relin_keys)
            self._factors[affine, level] = factor
        factor = self._factors[affine, level]
        self._uses_left[affine] -= 1
        if not self._uses_left[affine]:
            del self._sums[affine]
            for key in [key for key in self._factors if key[0] is affine]:
                del self._factors[key]
        return factor

    def _rescale(self, ciphertext: seal.Ciphertext, *, is_indicator: bool) -> None:
        """To the next level: indicators precisely, values cheaply (see `circuit.noise`). The caller sets the scale."""
        if is_indicator and ciphertext.size() > 2:
            self.evaluator.relinearize_inplace(ciphertext, self.keys.relin_keys)
        self.evaluator.rescale_to_next_inplace(ciphertext)

    def _total(self, affine: Affine, level: int, *, is_indicator: bool = False) -> seal.Ciphertext:
        """An affine combination at a level and scale ``beta ** 2``, of size up to 3.

        Costs a rescaling and a plain multiplication for every higher level its products are at.
        """
        scale = self.context.bit_scale(level) ** 2
        result: seal.Ciphertext | None = None
        for at, summed in sorted(self._sums.get(affine, {}).items()):
            part = self._signed_add(None, summed, 1)  # a copy: other factors may need the same sum
            if at > level:
                self._rescale(part, is_indicator=is_indicator)
                self.evaluator.mod_switch_to_inplace(part, self.context.level_ids[level])
                part.scale = self.context.bit_scale(at - 1)
                self._multiply_integer(part, round(scale / part.scale), level)
                part.scale = scale
            result = part if result is None else self._signed_add(result, part, 1)
        return self._plus_linear(result, affine.linear, level, scale)

    def _multiply_integer(self, ciphertext: seal.Ciphertext, factor: int, level: int) -> None:
        """In place, at scale 1: takes no level."""
        plain = seal.Plaintext()
        self.encoder.encode(float(factor), self.context.level_ids[level], 1.0, plain)
        self.evaluator.multiply_plain_inplace(ciphertext, plain)

    def _add_product(self, affine: Affine, level: int, product: seal.Ciphertext, coefficient: int) -> None:
        if abs(coefficient) != 1:
            scale, product = product.scale, self._signed_add(None, product, 1)
            self._multiply_integer(product, abs(coefficient), level)
            product.scale = scale
        sums = self._sums[affine]
        sums[level] = self._signed_add(sums.get(level), product, 1 if coefficient > 0 else -1)

    def _signed_add(self, result: seal.Ciphertext | None, other: seal.Ciphertext, sign: int) -> seal.Ciphertext:
        """``result + sign * other``; in place if there is a result, else a copy."""
        if result is not None:
            (self.evaluator.add_inplace if sign > 0 else self.evaluator.sub_inplace)(result, other)
            return result
        copy = seal.Ciphertext()
        if sign > 0:
            self.evaluator.mod_switch_to(other, other.parms_id(), copy)
        else:
            self.evaluator.negate(other, copy)
        return copy

    def _plus_linear(
        self, result: seal.Ciphertext | None, form: LinearForm, level: int, scale: float
    ) -> seal.Ciphertext:
        """Add a linear form at a level and scale: one plain multiplication by an integer a term, no level."""
        imaginary: seal.Ciphertext | None = None
        for comparison, coefficient in form.items():
            if comparison == CONSTANT:
                continue
            bit = self._term_bit(comparison, level, scale)
            if bit.imaginary:
                imaginary = self._add_multiple(imaginary, bit, coefficient, scale)
            else:
                result = self._add_multiple(result, bit, coefficient, scale)
        if imaginary is not None:
            self.evaluator.multiply_plain_inplace(imaginary, self._minus_unit(level))
            imaginary.scale = scale
            result = imaginary if result is None else self._signed_add(result, imaginary, 1)
        assert result is not None, "constants are folded when the circuit is built"
        if CONSTANT in form:
            plain = seal.Plaintext()
            self.encoder.encode(float(form[CONSTANT]), self.context.level_ids[level], scale, plain)
            self.evaluator.add_plain_inplace(result, plain)
        return result

    def _term_bit(self, comparison: int, level: int, scale: float) -> EncryptedBit:
        # At the scale of products a coefficient has many more bits than it needs: any scale of the bit will do.
        exact = scale == self.context.bit_scale(level)
        return self.bits.at_scale(comparison, level) if exact else self.bits.at_level(comparison, level)

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
