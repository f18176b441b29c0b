"""Evaluation of the circuit of an ensemble over one batch of encrypted bits (server side)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

from ..circuit.comparisons import ComparisonTable
from ..circuit.levels import OUTPUT_LEVEL, Schedule
from ..circuit.merged_trees import CONSTANT, LinearForm
from ..circuit.products import Affine, Product
from ..circuit.uses import BitUse, bit_uses, output_uses
from .arithmetic import Arithmetic, Encrypted
from .bits import EncryptedBit, EncryptedBits
from .digits import ComposedBits
from .inputs import LazyInputs

#: Sums of terms by the index of what they are part of, and whether they are imaginary.
_Parts = dict[tuple[int, bool], Encrypted]


def _add_multiple(
    arithmetic: Arithmetic, parts: _Parts, key: tuple[int, bool], bit: Encrypted, coefficient: int, scale: float
) -> None:
    term = arithmetic.multiple(bit, coefficient, scale)
    if key in parts:
        arithmetic.add(parts[key], term)
    else:
        parts[key] = term


class OutputTerms:
    """Linear forms of the outputs, to which each bit is added when it is made.

    Parameters
    ----------
    arithmetic : Arithmetic
    plan : Schedule
    make : callable
        Makes bits, as for `EncryptedBits`.

    Attributes
    ----------
    left : dict of int to list of (int, int)
        Comparisons that were not made yet; outputs they are terms of, and coefficients.
    """

    def __init__(self, arithmetic: Arithmetic, plan: Schedule, make: Callable[[int], dict[int, EncryptedBit]]):
        self.left = output_uses(plan)
        self._arithmetic = arithmetic
        self._make = make
        self._parts: _Parts = {}

    def make(self, comparison: int) -> dict[int, EncryptedBit]:
        """Make bits, and add them to the outputs they are terms of."""
        made = self._make(comparison)
        for other, bit in made.items():
            for output, coefficient in self.left.pop(other, ()):
                dropped = self._arithmetic.drop(bit.encrypted, OUTPUT_LEVEL)
                scale = self._arithmetic.scales[OUTPUT_LEVEL] ** 2
                _add_multiple(self._arithmetic, self._parts, (output, bit.imaginary), dropped, coefficient, scale)
        return made

    def take(self, output: int) -> tuple[Encrypted | None, Encrypted | None]:
        """Real and imaginary terms of an output."""
        return self._parts.pop((output, False), None), self._parts.pop((output, True), None)

    def __len__(self) -> int:
        """Sums in memory."""
        return len(self._parts)


class CircuitEvaluator:
    """Evaluates a circuit; levels and scales are those of `circuit.levels`.

    Nothing stays in memory longer than needed. A product is added to all sums it is part of as soon as it is computed,
    and is then forgotten; a bit is added to the outputs it is a term of as soon as it is made, and is forgotten after
    its last use. What stays are unfinished sums, and bits that are used again.

    Parameters
    ----------
    arithmetic : Arithmetic
    plan : Schedule
    make : callable
        For `EncryptedBits`.
    """

    def __init__(self, arithmetic: Arithmetic, plan: Schedule, make: Callable[[int], dict[int, EncryptedBit]]):
        self.arithmetic = arithmetic
        self.plan = plan
        self._terms = OutputTerms(arithmetic, plan, make)
        self.bits = EncryptedBits(arithmetic, self._terms.make, bit_uses(plan))
        #: Sums of products, by the level of the products; and factors made of them, by their level.
        self._sums: dict[Affine, dict[int, Encrypted]] = defaultdict(dict)
        self._factors: dict[tuple[Affine, int], Encrypted] = {}
        self._memberships: dict[Product, list[tuple[Affine, int]]] = defaultdict(list)
        #: How often each factor will be asked for at a level, and at how many levels it was not made yet.
        self._uses_left: Counter[tuple[Affine, int]] = Counter()
        self._levels_left: Counter[Affine] = Counter()
        for affine in self._affines():
            for product, coefficient in affine.products.items():
                self._memberships[product].append((affine, coefficient))

    def _affines(self) -> set[Affine]:
        """All that is made of products; counts how often each is a factor."""
        found = set(self.plan.outputs)
        for product in self.plan.products:
            for factor, _ in product.operands():
                self._levels_left[factor] += (factor, product.level) not in self._uses_left
                self._uses_left[factor, product.level] += 1
                found.add(factor)
        return found

    def evaluate(self, *, clear_imaginary: bool, after_step: Callable[[], None] = lambda: None) -> list[Encrypted]:
        """The encrypted scores that are not constant, at the output level and scale ``beta_1 ** 2``, of size 2.

        With ``clear_imaginary``, for batches with pairs, twice the scores: one more key switching each. A step is a
        product, or a ciphertext of which only terms of outputs are needed; the last one makes the scores.
        """
        for product in reversed(self.plan.products):
            self._add_to_sums(self._multiply(product), self._memberships.pop(product))
            after_step()
        while self._terms.left:
            self._terms.make(next(iter(self._terms.left)))
            after_step()
        scores = [
            self._score(index, output, clear_imaginary=clear_imaginary)
            for index, output in enumerate(self.plan.outputs)
            if not output.is_constant
        ]
        after_step()
        return scores

    def _score(self, index: int, output: Affine, *, clear_imaginary: bool) -> Encrypted:
        real, imaginary = self._terms.take(index)
        total = self._with_imaginary(self._products(output, OUTPUT_LEVEL), real, imaginary)
        self._add_own_constant(total, output.linear)
        total = self.arithmetic.relinearize(total)
        if clear_imaginary:
            self.arithmetic.add(total, self.arithmetic.conjugate(total))
        return total

    def _multiply(self, product: Product) -> Encrypted:
        """A product of size 3 at scale ``beta ** 2``: one multiplication."""
        indicator = self._factor(product.indicator, product.level, is_indicator=True)
        value = self._factor(product.value, product.level, is_indicator=product.is_indicator)
        return self.arithmetic.multiply(indicator, value)

    def _factor(self, affine: Affine, level: int, *, is_indicator: bool) -> Encrypted:
        """A factor at a level and scale ``beta``: a rescaling and a relinearization if it holds products."""
        bit = affine.single_bit
        if is_indicator and bit is not None:
            return self.bits.use(BitUse(bit, level, exact=True)).encrypted
        if not affine.products:
            return self._linear(None, affine.linear, level, exact=True)
        factor = self._factors.pop((affine, level), None)
        if factor is None:
            total = self._linear(
                self._products(affine, level + 1, is_indicator=is_indicator), affine.linear, level + 1, exact=False
            )
            factor = self.arithmetic.relinearize(self._rescaled(total, is_indicator=is_indicator))
        self._uses_left[affine, level] -= 1
        if self._uses_left[affine, level]:
            self._factors[affine, level] = factor
        return factor

    def _rescaled(self, total: Encrypted, *, is_indicator: bool) -> Encrypted:
        """At the next level: indicators precisely, values cheaply (see `circuit.noise`)."""
        if is_indicator:
            total = self.arithmetic.relinearize(total)
        return self.arithmetic.rescale(total, self.arithmetic.scales[total.level - 1])

    def _products(self, affine: Affine, level: int, *, is_indicator: bool = False) -> Encrypted | None:
        """The sum of the products at a level and scale ``beta ** 2``, of size up to 3.

        Costs a rescaling and a plain multiplication for every higher level its products are at.
        """
        result: Encrypted | None = None
        scale = self.arithmetic.scales[level] ** 2
        self._levels_left[affine] -= 1
        needed_again = self._levels_left[affine] > 0
        sums = self._sums[affine] if needed_again else self._sums.pop(affine, {})
        for at, summed in sorted(sums.items()):
            part = self.arithmetic.signed(summed, 1) if needed_again else summed
            if at > level:
                part = self._rescaled(part, is_indicator=is_indicator)
                part = self.arithmetic.drop(part, level)
                part = self.arithmetic.multiple(part, 1.0, scale)
            if result is None:
                result = part
            else:
                self.arithmetic.add(result, part)
        return result

    def _add_to_sums(self, product: Encrypted, memberships: list[tuple[Affine, int]]) -> None:
        for number, (affine, coefficient) in enumerate(memberships, start=1):
            term, sign = product, 1 if coefficient > 0 else -1
            if abs(coefficient) != 1:
                term = self.arithmetic.multiple(product, abs(coefficient), product.scale)
            sums = self._sums[affine]
            if product.level in sums:
                self.arithmetic.add(sums[product.level], term, sign)
            elif sign > 0 and (term is not product or number == len(memberships)):
                sums[product.level] = term  # needed nowhere else
            else:
                sums[product.level] = self.arithmetic.signed(term, sign)

    def _linear(self, result: Encrypted | None, form: LinearForm, level: int, *, exact: bool) -> Encrypted:
        """Add a linear form at a level: one plain multiplication by an integer a term, no level.

        At the scale of factors if it must be exact, else of products. There a coefficient has many more bits than it
        needs: any scale of the bit will do.
        """
        scale = self.arithmetic.scales[level] if exact else self.arithmetic.scales[level] ** 2
        parts: _Parts = {} if result is None else {(0, False): result}
        for comparison, coefficient in form.items():
            if comparison != CONSTANT:
                bit = self.bits.use(BitUse(comparison, level, exact))
                _add_multiple(self.arithmetic, parts, (0, bit.imaginary), bit.encrypted, coefficient, scale)
        total = self._with_imaginary(None, parts.get((0, False)), parts.get((0, True)))
        self._add_own_constant(total, form)
        return total

    def _with_imaginary(
        self, products: Encrypted | None, real: Encrypted | None, imaginary: Encrypted | None
    ) -> Encrypted:
        """The sum of three parts, the last one turned to the real axis."""
        if imaginary is not None:
            self.arithmetic.turn(imaginary)
        first, *rest = (part for part in (products, real, imaginary) if part is not None)  # constants are folded
        for part in rest:
            self.arithmetic.add(first, part)
        return first

    def _add_own_constant(self, total: Encrypted, form: LinearForm) -> None:
        if CONSTANT in form:
            self.arithmetic.add_constant(total, form[CONSTANT])


def circuit_evaluator(
    plan: Schedule,
    table: ComparisonTable,
    arithmetic: Arithmetic,
    inputs: LazyInputs,
) -> CircuitEvaluator:
    """The evaluator of a circuit whose bits are inputs, or are composed of them."""
    if not table.hides_bins:
        return CircuitEvaluator(arithmetic, plan, inputs.make)
    used = [comparison for comparison, level in enumerate(plan.comparison_levels) if level > 0]
    return CircuitEvaluator(arithmetic, plan, ComposedBits(arithmetic, table, used, inputs, plan.circuit_level).make)
