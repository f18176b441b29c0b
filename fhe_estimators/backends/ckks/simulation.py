"""The circuit in floating point with the noise of the encryption, without encrypting."""

from __future__ import annotations

import numpy as np

from .circuit.comparisons import Recipe
from .circuit.merged_trees import CONSTANT
from .circuit.noise import RingNoise
from .circuit.packing import largest_expansion
from .circuit.products import Affine, Product
from .program import CKKSProgram


def simulate_leaf_sums(program: CKKSProgram, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leaf sums before rounding, shape (n_rows, n_scores), float64.

    Parameters
    ----------
    program : CKKSProgram
    codes : ndarray of shape (n_rows, n_features), int32
    rng : numpy Generator
        Draws simulated errors only; no secret depends on it.
    """
    p, plan = program.parameters, program.schedule
    ring = RingNoise(p.poly_modulus_degree, p.coeff_modulus_bits)
    expansion = largest_expansion(len(codes), p.n_slots, p.expansion_log2)
    inputs = program.comparisons.inputs.bits(codes).astype(np.float64)
    inputs += rng.normal(scale=ring.unpacked(expansion) / 2.0**p.prime_bits, size=inputs.shape)
    bits = np.column_stack([_composed(recipe, inputs) for recipe in program.comparisons.recipes])
    rounding = ring.rounding / 2.0**p.prime_bits
    value_error = np.hypot(ring.rounding_of_products, ring.worst_key_switching) / 2.0**p.prime_bits
    if program.comparisons.has_products:
        bits += rng.normal(scale=rounding, size=bits.shape)
    values: dict[Product, np.ndarray] = {}

    def total(affine: Affine) -> np.ndarray:
        comparisons = [comparison for comparison in affine.linear if comparison != CONSTANT]
        coefficients = np.array([affine.linear[comparison] for comparison in comparisons], dtype=np.float64)
        result = bits[:, comparisons] @ coefficients + affine.linear.get(CONSTANT, 0)
        for product, coefficient in affine.products.items():
            result += coefficient * values[product]
        return result

    def factor(affine: Affine, error: float) -> np.ndarray:
        return total(affine) + rng.normal(scale=error if affine.products else 0.0, size=len(codes))

    for product in reversed(plan.products):
        value = factor(product.value, rounding if product.is_indicator else value_error)
        values[product] = factor(product.indicator, rounding) * value
    return np.column_stack([total(output) for output in plan.outputs])


def _composed(recipe: Recipe, inputs: np.ndarray) -> np.ndarray:
    terms = recipe.constant + (-1 if recipe.negate_terms else 1) * inputs[:, recipe.terms].sum(axis=1)
    equal = inputs[:, recipe.equal].sum(axis=1)
    equal = 1 - equal if recipe.complement else equal
    return terms + equal * inputs[:, recipe.above].sum(axis=1)
