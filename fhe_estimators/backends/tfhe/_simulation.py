"""Concrete's own simulation: its arithmetic and failures, without encryption."""

from __future__ import annotations

import numpy as np

from .program import TFHEProgram


def simulate(program: TFHEProgram, codes: np.ndarray) -> np.ndarray:
    """Leaf sums of rows of codes, shape (n_samples, n_scores), int64."""
    if program.is_constant:
        return np.tile(program.plan.constants, (len(codes), 1))
    inputs = (program.comparisons if program.code_bits is None else program.code_bits).bits(codes)
    rows = [np.asarray(program.circuit.simulate(row), dtype=np.int64).reshape(-1) for row in inputs]
    return np.array(rows).reshape(len(codes), -1) + program.plan.constants
