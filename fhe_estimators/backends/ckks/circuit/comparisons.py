"""Tests of an ensemble and how their result bits come from the encrypted inputs.

With the threshold quantizer a comparison *is* an input: the client compares. A quantizer whose bins come from
the data must not tell the client which bins the model uses, so there the client sends every feature's
code as one or two one-hot digits, and the server composes ``code > t``, with ``t = (th, tl)``, as

    [high > th] + [high = th] * [low > tl]

where a one-hot digit turns ``>`` into a sum. Digit 0 is not sent (it is one minus the others).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ensembles import TreeEnsemble
from .inputs import COMPARISON, DIGIT, IS_MISSING, InputTable

#: Codes of up to this many bits are sent as a single digit.
_SINGLE_DIGIT_BITS = 3


@dataclass(frozen=True)
class Recipe:
    """``constant + sum(terms) + (complement + sum(equal)) * sum(above)``, over inputs' bits.

    ``equal`` is subtracted if ``complement`` is 1. No product if ``above`` is empty.
    """

    terms: tuple[int, ...]
    constant: int = 0
    negate_terms: bool = False
    equal: tuple[int, ...] = ()
    complement: int = 0
    above: tuple[int, ...] = ()

    @property
    def is_constant(self) -> bool:
        return not self.terms and not self.above

    @property
    def inputs(self) -> tuple[int, ...]:
        return (*self.terms, *self.equal, *self.above)


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """The distinct comparisons of an ensemble.

    Attributes
    ----------
    of_node : ndarray of shape (n_nodes,), int64
        Index of each node's comparison, -1 in leaves.
    inputs : InputTable
        What clients encrypt.
    recipes : list of n_comparisons Recipe
    hides_bins : bool
        Whether inputs depend on the quantizer only, not on the model.
    """

    of_node: np.ndarray
    inputs: InputTable
    recipes: list[Recipe]
    hides_bins: bool

    def __len__(self) -> int:
        return len(self.recipes)

    @property
    def has_products(self) -> bool:
        """Whether composing bits takes a level."""
        return any(recipe.above for recipe in self.recipes)

    def spread_to_inputs(self, sensitivities: np.ndarray) -> np.ndarray:
        """Effect of an error in each input, shape (n_inputs, k), from that in each comparison, (n_comparisons, k)."""
        result = np.zeros((len(self.inputs), sensitivities.shape[1]))
        for recipe, sensitivity in zip(self.recipes, sensitivities, strict=True):
            result[list(recipe.inputs)] += sensitivity
        return result

    def gathered_from_inputs(self, of_inputs: np.ndarray) -> np.ndarray:
        """Sum over the inputs that each comparison is made of, shape (n_comparisons, k), from (n_inputs, k)."""
        result = np.zeros((len(self), of_inputs.shape[1]))
        for comparison, recipe in enumerate(self.recipes):
            result[comparison] = of_inputs[list(recipe.inputs)].sum(axis=0)
        return result


def comparisons_of_ensemble(ensemble: TreeEnsemble, hidden_code_bits: int | None) -> ComparisonTable:
    """Tests, inputs and recipes of a quantized ensemble.

    Parameters
    ----------
    ensemble : TreeEnsemble
    hidden_code_bits : int or None
        Bits of the codes if the client must not learn which bins are used, else None.
    """
    inner = ~ensemble.is_leaf
    # Without missing values their direction distinguishes nothing.
    missing = ensemble.missing_right & ensemble.allow_nan
    columns = np.stack([ensemble.feature, ensemble.threshold, missing], axis=1)[inner].astype(np.int64)
    distinct, index = np.unique(columns, axis=0, return_inverse=True)
    of_node = np.full(ensemble.n_nodes, -1, dtype=np.int64)
    of_node[inner] = index.reshape(-1)
    if hidden_code_bits is None:
        rows = [(feature, COMPARISON, threshold, right, 0) for feature, threshold, right in distinct.tolist()]
        recipes = [Recipe(terms=(comparison,)) for comparison in range(len(rows))]
        return ComparisonTable(of_node, InputTable.from_rows(rows), recipes, hides_bins=False)
    digits = _Digits(ensemble.n_features, hidden_code_bits, ensemble.allow_nan)
    recipes = [digits.recipe(feature, threshold, bool(right)) for feature, threshold, right in distinct.tolist()]
    return ComparisonTable(of_node, digits.inputs, recipes, hides_bins=True)


class _Digits:
    """One-hot digits of every feature, and how comparisons are made of them."""

    def __init__(self, n_features: int, code_bits: int, allow_nan: bool):
        self.code_bits = code_bits
        self.low_bits = code_bits // 2 if code_bits > _SINGLE_DIGIT_BITS else 0
        rows: list[tuple[int, int, int, int, int]] = []
        self._index: dict[tuple[int, str, int], int] = {}
        for feature in range(n_features):
            for name, shift, width in (("high", self.low_bits, code_bits - self.low_bits), ("low", 0, self.low_bits)):
                for value in range(1, 2**width):
                    self._index[feature, name, value] = len(rows)
                    rows.append((feature, DIGIT, value, shift, width))
            if allow_nan:
                self._index[feature, "missing", 0] = len(rows)
                rows.append((feature, IS_MISSING, 0, 0, 0))
        self.inputs = InputTable.from_rows(rows)

    def recipe(self, feature: int, threshold: int, missing_right: bool) -> Recipe:
        """``code > threshold``; a missing value, all of whose digits are 0, answers ``missing_right``."""
        missing = self._index.get((feature, "missing", 0))
        if threshold < 0:  # every value that is there goes right
            if missing is None or missing_right:
                return Recipe(terms=(), constant=1)
            return Recipe(terms=(missing,), constant=1, negate_terms=True)
        high, low = divmod(threshold, 2**self.low_bits)
        terms = self._above(feature, "high", high, self.code_bits - self.low_bits)
        if missing_right and missing is not None:
            terms = (*terms, missing)
        above = self._above(feature, "low", low, self.low_bits)
        if not above:
            return Recipe(terms)
        if high == 0:  # [high = 0] is one minus the other digits
            return Recipe(
                terms, equal=self._above(feature, "high", 0, self.code_bits - self.low_bits), complement=1, above=above
            )
        return Recipe(terms, equal=(self._index[feature, "high", high],), above=above)

    def _above(self, feature: int, name: str, digit: int, width: int) -> tuple[int, ...]:
        return tuple(self._index[feature, name, value] for value in range(digit + 1, 2**width))
