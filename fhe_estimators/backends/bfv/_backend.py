"""`BFVBackend`: the engine's factory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble, sum_leaves
from ...quantizers import TARGET_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from .._program import Program
from ..seal._backend import SealBackend

#: Smallest and largest precision of a leaf sum.
_MIN_SCORE_BITS, _MAX_SCORE_BITS = 8, 30


class BFVBackend(SealBackend):
    """Leaves in slots on SEAL's BFV scheme: one row or a few at a time, deep trees, thresholds hidden.

    The data owner sends the thermometer bits of a row in one ciphertext. The server computes how many features of each
    leaf's path have another value than the leaf asks for, tests those numbers for zero, and returns the sums of the
    values of the reached leaves. All arithmetic is exact modulo 65,537.

    Examples
    --------
    >>> from fhe_estimators.backends.bfv import BFVBackend
    >>> BFVBackend().name
    'bfv'
    """

    name = "bfv"
    package = __package__
    client_class = "client:BFVClient"
    evaluator_class = "evaluator.requests:BFVEvaluator"

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        score_bits = int(np.clip(score_bits_for(ensemble, TARGET_SCORE_ERROR), _MIN_SCORE_BITS, _MAX_SCORE_BITS))
        return quantize_leaves(quantizer.quantize_thresholds(ensemble), score_bits)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return self._find("program:compile_program")(ensemble, quantizer.hidden_code_bits, quantizer.client_learns)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return self._find("program:load_program")(ensemble, metadata)

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return sum_leaves(program.ensemble, codes)  # there is no noise in the results to simulate
