"""The factory of the reference engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble, sum_leaves
from ...quantizers import TARGET_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from .._program import Program
from ..factory import LazyBackend
from .program import ClearProgram, check_codes

#: Smallest and largest precision of a leaf sum. The upper end leaves room in int64 for any program.
_MIN_SCORE_BITS, _MAX_SCORE_BITS = 12, 40


class ClearBackend(LazyBackend):
    """Integer-exact reference that encrypts nothing.

    It runs the protocol of the encrypted engines (keys, request, evaluation, response) on clear
    integers: what they must return, what tests compare them with, and a way to try a deployment
    before paying for encryption. The server sees everything.

    Examples
    --------
    >>> from fhe_estimators.backends.clear import ClearBackend
    >>> ClearBackend().name
    'clear'
    """

    name = "clear"
    package = __package__
    client_class = "client:ClearClient"
    evaluator_class = "evaluator:ClearEvaluator"

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        score_bits = int(np.clip(score_bits_for(ensemble, TARGET_SCORE_ERROR), _MIN_SCORE_BITS, _MAX_SCORE_BITS))
        return quantize_leaves(quantizer.quantize_thresholds(ensemble), score_bits)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return ClearProgram(ensemble, client_learns=quantizer.client_learns)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return ClearProgram.from_metadata(ensemble, metadata)

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return sum_leaves(program.ensemble, check_codes(codes, program.ensemble.n_features))
