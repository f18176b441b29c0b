"""Levels and scales: at which modulus each product is computed and each bit is needed.

A ciphertext at level ``l >= 1`` lives modulo ``base * q_2 * ... * q_l``, where the base is the product of the one or
two lowest primes. Both factors of a product at level ``l`` have the scale ``beta_l``, and the product
``beta_l ** 2``; rescaling a sum of products by ``q_l`` makes it a factor at level ``l - 1``. So

    beta_L = q_L,    beta_l = beta_{l+1} ** 2 / q_{l+1}

and all scales agree exactly, although the primes are not powers of two (A. Kim, A. Papadimitriou and
Y. Polyakov, "Approximate Homomorphic Encryption with Reduced Approximation Error", CT-RSA 2022). The response,
at level 1, needs no last rescaling. Products are computed as late, hence as low, as possible: the outermost
ones at level 1, where ciphertexts are smallest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ensembles import TreeEnsemble
from ....utils import progress_bar
from .comparisons import ComparisonTable
from .inputs import FACTOR, TERM
from .merged_trees import CONSTANT, LinearForm, Sum, merge_trees
from .products import Affine, Product, build_circuit, products_of

#: Level of the responses.
OUTPUT_LEVEL = 1


@dataclass(frozen=True, eq=False)
class Schedule:
    """A circuit with levels.

    Attributes
    ----------
    sums : list of Sum
        The merged trees, one sum a score.
    outputs : list of Affine
        Their circuits.
    products : list of Product
        All products, each before its factors, their levels set.
    n_levels : int
        The top level ``L``.
    circuit_level : int
        Level at which composed bits appear: the top, or one below if composing takes a product.
    comparison_levels : ndarray of shape (n_comparisons,), int64
        The level at which each comparison's bit is made, 0 if it is not used at all.
    comparison_roles : ndarray of shape (n_comparisons,), int64
        `FACTOR` if the bit is part of an indicator anywhere, else `TERM`.
    """

    sums: list[Sum]
    outputs: list[Affine]
    products: list[Product]
    n_levels: int
    circuit_level: int
    comparison_levels: np.ndarray
    comparison_roles: np.ndarray

    @property
    def constants(self) -> list[int | None]:
        """The value of each score that does not depend on the row, else None."""
        return [output.linear.get(CONSTANT, 0) if output.is_constant else None for output in self.outputs]

    @property
    def n_responses(self) -> int:
        """Ciphertexts of a batch's response: one a score that is not constant."""
        return self.constants.count(None)

    def is_rescaled(self, comparison: int, level: int) -> bool:
        """Whether a bit has to be rescaled to be a factor at a level: the two top levels share their scale."""
        made_at = self.comparison_levels[comparison]
        return bool(level < made_at and not (made_at == self.n_levels and level == made_at - 1))

    def n_relinearizations(self) -> int:
        """Relinearizations a batch, those of the responses included."""
        factors = {id(factor) for product in self.products for factor, _ in product.operands() if factor.products}
        return len(factors) + sum(bool(output.products) for output in self.outputs)


def schedule(ensemble: TreeEnsemble, table: ComparisonTable, *, verbose: int = 0) -> Schedule:
    """Merge the trees, cut them into a circuit of small depth and assign levels."""
    constants = {comparison: recipe.constant for comparison, recipe in enumerate(table.recipes) if recipe.is_constant}
    sums = merge_trees(ensemble, table.of_node, constants)
    outputs = [build_circuit(total) for total in progress_bar(sums, description="compile", verbose=verbose)]
    products = products_of(outputs)
    circuit_level = max(1, *(output.depth for output in outputs))
    _set_levels(outputs, products)
    levels, roles = _bits_needed(outputs, products, len(table))
    if table.hides_bins:
        levels[levels > 0] = circuit_level
        roles[:] = FACTOR
    return Schedule(sums, outputs, products, circuit_level + table.has_products, circuit_level, levels, roles)


def _set_levels(outputs: list[Affine], products: list[Product]) -> None:
    for output in outputs:
        for product in output.products:
            product.level = OUTPUT_LEVEL
    for product in products:
        for factor, _ in product.operands():
            for below in factor.products:
                below.level = max(below.level, product.level + 1)


def _bits_needed(outputs: list[Affine], products: list[Product], n_comparisons: int) -> tuple[np.ndarray, np.ndarray]:
    """The highest level at which each bit is used, and its role."""
    levels = np.zeros(n_comparisons, dtype=np.int64)
    roles = np.full(n_comparisons, TERM, dtype=np.int64)

    def use(form: LinearForm, level: int) -> list[int]:
        comparisons = [comparison for comparison in form if comparison != CONSTANT]
        levels[comparisons] = np.maximum(levels[comparisons], level)
        return comparisons

    for output in outputs:
        use(output.linear, OUTPUT_LEVEL)
    for product in products:
        roles[use(product.indicator.linear, factor_level(product.indicator, product.level))] = FACTOR
        comparisons = use(product.value.linear, factor_level(product.value, product.level))
        if product.is_indicator:
            roles[comparisons] = FACTOR
    return levels, roles


def factor_level(factor: Affine, product_level: int) -> int:
    """Level at which a factor is summed up: one above the product if it is rescaled to get there."""
    return product_level + 1 if factor.products else product_level
