"""Bits of comparisons from encrypted digits (server side; see `circuit.comparisons`)."""

from __future__ import annotations

from collections import Counter

from ..circuit.comparisons import ComparisonTable, Recipe
from ..circuit.uses import BitUse
from .arithmetic import Arithmetic, Encrypted
from .bits import EncryptedBit, EncryptedBits
from .inputs import LazyInputs


class ComposedBits:
    """Makes bits of comparisons where these are no inputs.

    A bit takes a multiplication, a relinearization, a rescaling and some additions.

    Parameters
    ----------
    arithmetic : Arithmetic
    table : ComparisonTable
    used : sequence of int
        The comparisons that will be asked for, each once.
    inputs : LazyInputs
    circuit_level : int
        Level of the bits.
    """

    def __init__(
        self, arithmetic: Arithmetic, table: ComparisonTable, used: list[int], inputs: LazyInputs, circuit_level: int
    ):
        self._arithmetic = arithmetic
        self._table = table
        self._level = circuit_level
        uses = Counter(self._use(index) for comparison in used for index in table.recipes[comparison].inputs)
        self._inputs = EncryptedBits(arithmetic, inputs.make, uses)

    def make(self, comparison: int) -> dict[int, EncryptedBit]:
        """The bit of a comparison."""
        recipe = self._table.recipes[comparison]
        bit = self._terms(recipe)
        if recipe.above:
            product = self._product(recipe)
            if bit is not None:
                self._arithmetic.add(product, bit)
            bit = product
        assert bit is not None, "constant comparisons are merged away"
        return {comparison: EncryptedBit(bit)}

    def _terms(self, recipe: Recipe) -> Encrypted | None:
        if not recipe.terms:
            return None
        terms = self._sum(recipe.terms, -1 if recipe.negate_terms else 1)
        if recipe.constant:
            self._arithmetic.add_constant(terms, 1.0)
        return self._arithmetic.drop(terms, self._level)

    def _product(self, recipe: Recipe) -> Encrypted:
        """``(complement +- sum(equal)) * sum(above)``, a level below the inputs, of size 2."""
        equal = self._sum(recipe.equal, -1 if recipe.complement else 1)
        if recipe.complement:
            self._arithmetic.add_constant(equal, 1.0)
        product = self._arithmetic.multiply(equal, self._sum(recipe.above, 1))
        # Relinearized before the rescaling, which divides the noise of the key switching away.
        product = self._arithmetic.relinearize(product)
        return self._arithmetic.rescale(product, self._arithmetic.scales[product.level - 1])

    def _sum(self, indices: tuple[int, ...], sign: int) -> Encrypted:
        total: Encrypted | None = None
        for index in indices:
            encrypted = self._inputs.use(self._use(index)).encrypted
            if total is None:
                total = self._arithmetic.signed(encrypted, sign)
            else:
                self._arithmetic.add(total, encrypted, sign)
        assert total is not None
        return total

    def _use(self, index: int) -> BitUse:
        return BitUse(index, self._arithmetic.top_level, exact=False)
