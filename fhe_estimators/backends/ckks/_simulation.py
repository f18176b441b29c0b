"""The circuit in floating point with the noise of the encryption, without encrypting."""

from __future__ import annotations

import numpy as np

from ._noise import RingNoise
from ._packing import largest_expansion
from ._polynomial import CONSTANT, Branch, LinearForm, Sum, total_linear
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
    bits = program.tests.bits(codes).astype(np.float64)
    bits += rng.normal(scale=ring.unpacked(expansion) / 2.0**p.prime_bits, size=bits.shape)
    division_std = np.hypot(ring.rounding, ring.key_switching) / 2.0**p.prime_bits

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

    return np.column_stack([np.broadcast_to(products(s) + linear(total_linear(s)), len(codes)) for s in program.schedule.sums])
