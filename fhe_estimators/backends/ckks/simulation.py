"""The circuit in floating point with the noise of the encryption, without encrypting.

The noise is joint, as in `circuit.ring_noise` and `circuit.noise`: what all bits unpacked with a Galois key share, and
all values relinearized with the relinearization key, is drawn once for each row and key, and anew for every batch.
Rows are in the slots in which a client puts them. Two things are simplified. All errors are Gaussian, and of the worst
size that the bound counts with where a slot decides it. The powers of X that unpacking multiplies the shared part
with are left out; their signs are not.
"""

from __future__ import annotations

import numpy as np

from .circuit.comparisons import Recipe
from .circuit.merged_trees import CONSTANT
from .circuit.packing import expansion_of_group
from .circuit.products import Affine, Product
from .circuit.ring_noise import RingNoise
from .circuit.slots import largest_expansion, rows_per_batch
from .program import CKKSProgram


def simulate_leaf_sums(program: CKKSProgram, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Leaf sums before rounding, shape (n_samples, n_scores), float64.

    Parameters
    ----------
    program : CKKSProgram
    codes : ndarray of shape (n_samples, n_features), int32
    rng : numpy Generator
        Draws simulated errors only; no secret depends on it.
    """
    n_slots = program.parameters.n_slots
    batches = [codes[start : start + n_slots] for start in range(0, len(codes), n_slots)]
    return np.concatenate([_BatchSimulation(program, batch, rng).leaf_sums() for batch in batches])


class _BatchSimulation:
    def __init__(self, program: CKKSProgram, codes: np.ndarray, rng: np.random.Generator):
        self.program, self.codes, self.rng = program, codes, rng
        p = program.parameters
        self.ring = RingNoise(p.poly_modulus_degree, p.coeff_modulus_bits)
        self.scale = 2.0**p.prime_bits
        self.expansion = largest_expansion(len(codes), p.n_slots, p.expansion_log2)
        self.values: dict[Product, np.ndarray] = {}
        copies = 2.0**self.expansion
        self.common_of_values = self._common(self.ring.common_key_switching(self.expansion) / copies)

    def leaf_sums(self) -> np.ndarray:
        program, rounding = self.program, self.ring.rounding
        inputs = program.comparisons.inputs.bits(self.codes) + self._input_errors()
        columns = [_composed(recipe, inputs) for recipe in program.comparisons.recipes]
        self.bits = np.column_stack(columns) if columns else np.zeros((len(self.codes), 0))
        if program.comparisons.has_products:
            self.bits += self._independent(rounding, self.bits.shape)
        for product in reversed(program.schedule.products):
            indicator = self._factor(product.indicator, is_indicator=True)
            self.values[product] = indicator * self._factor(product.value, is_indicator=product.is_indicator)
        return np.column_stack([self._total(output) for output in program.schedule.outputs])

    def _independent(self, std: float, shape: tuple[int, ...]) -> np.ndarray:
        """Real parts of errors of the given size."""
        return self.rng.normal(scale=std / self.scale / 2**0.5, size=shape)

    def _common(self, stds: np.ndarray) -> np.ndarray:
        """An error of each row, of the standard deviation of the row's place."""
        used = np.resize(stds, rows_per_batch(self.program.parameters.n_slots, self.expansion))[: len(self.codes)]
        return self.rng.normal(scale=used / self.scale / 2**0.5)

    def _input_errors(self) -> np.ndarray:
        """Errors of the unpacked bits, shape (n_samples, n_inputs)."""
        packing = self.program.packing
        errors = self._independent(self.ring.bit(self.expansion), (len(self.codes), len(packing.levels)))
        if not self.expansion:
            return errors
        of_key = self.ring.common_key_switching(self.expansion)
        of_rounds = np.stack([self._common(of_key) for _ in range(self.expansion)])
        for group in packing.groups(self.expansion):
            rounds = expansion_of_group(len(group.places))
            for position, place in enumerate(group.places):
                weights = [
                    (-1) ** (position >> j & 1) * 2.0 ** (rounds - 1 - j - self.expansion) for j in range(rounds)
                ]
                errors[:, list(place)] += (np.array(weights) @ of_rounds[:rounds])[:, None]
        return errors

    def _total(self, affine: Affine) -> np.ndarray:
        comparisons = [comparison for comparison in affine.linear if comparison != CONSTANT]
        coefficients = np.array([affine.linear[comparison] for comparison in comparisons], dtype=np.float64)
        result = self.bits[:, comparisons] @ coefficients + affine.linear.get(CONSTANT, 0)
        for product, coefficient in affine.products.items():
            result += coefficient * self.values[product]
        return result

    def _factor(self, affine: Affine, *, is_indicator: bool) -> np.ndarray:
        total = self._total(affine)
        if not affine.products:
            return total
        if is_indicator:
            return total + self._independent(self.ring.rounding, total.shape)
        own = float(np.hypot(self.ring.rounding_of_products, self.ring.key_switching))
        return total + self._independent(own, total.shape) + self.common_of_values


def _composed(recipe: Recipe, inputs: np.ndarray) -> np.ndarray:
    terms = recipe.constant + (-1 if recipe.negate_terms else 1) * inputs[:, recipe.terms].sum(axis=1)
    equal = inputs[:, recipe.equal].sum(axis=1)
    equal = 1 - equal if recipe.complement else equal
    return terms + equal * inputs[:, recipe.above].sum(axis=1)
