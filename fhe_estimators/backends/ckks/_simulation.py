"""The circuit in floating point with the noise of the encryption, without encrypting."""

from __future__ import annotations

import numpy as np

from ._noise import RingNoise
from ._packing import largest_expansion
from ._polynomial import CONSTANT, Branch, LinearForm, Sum, total_linear
from ._tests import Recipe
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
    p = program.parameters
    ring = RingNoise(p.poly_modulus_degree, p.coeff_modulus_bits)
    expansion = largest_expansion(len(codes), p.n_slots, p.expansion_log2)
    division_std = np.hypot(ring.rounding, ring.key_switching) / 2.0**p.prime_bits
    inputs = program.tests.inputs.bits(codes).astype(np.float64)
    inputs += rng.normal(scale=ring.unpacked(expansion) / 2.0**p.prime_bits, size=inputs.shape)
    bits = np.column_stack([_composed(recipe, inputs) for recipe in program.tests.recipes])
    if program.tests.has_products:
        bits += rng.normal(scale=ring.rounding / 2.0**p.prime_bits, size=bits.shape)

    def linear(form: LinearForm) -> np.ndarray:
        tests = [test for test in form if test != CONSTANT]
        coefficients = np.array([form[test] for test in tests], dtype=np.float64)
        return bits[:, tests] @ coefficients + form.get(CONSTANT, 0)

    def products(total: Sum) -> np.ndarray:
        return np.sum([low_and_product(branch) for branch in total.branches], axis=0, initial=0.0)

    def low_and_product(branch: Branch) -> np.ndarray:
        low = products(branch.low)
        difference = products(branch.high) - low + linear(branch.difference)
        if branch.height > 2:
            difference = difference + rng.normal(scale=division_std, size=len(codes))
        return low + bits[:, branch.test] * difference

    sums = [products(total) + linear(total_linear(total)) for total in program.schedule.sums]
    return np.column_stack([np.broadcast_to(column, len(codes)) for column in sums])


def _composed(recipe: Recipe, inputs: np.ndarray) -> np.ndarray:
    terms = recipe.constant + (-1 if recipe.negate_terms else 1) * inputs[:, recipe.terms].sum(axis=1)
    equal = inputs[:, recipe.equal].sum(axis=1)
    equal = 1 - equal if recipe.complement else equal
    return terms + equal * inputs[:, recipe.above].sum(axis=1)
