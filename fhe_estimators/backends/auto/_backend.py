"""`AutoBackend`: the factory of programs that hold two engines."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...quantizers import FeatureQuantizer
from .._program import Program
from ..factory import LazyBackend


class AutoBackend(LazyBackend):
    """The faster engine for the number of rows of a request; the default.

    A program holds two: ``bfv``, with leaves in slots, for few rows, and ``ckks``, with rows in slots, for many. Both
    evaluate the same integers, so a client may send a request to either. Which one is faster for how many rows is
    found out by `compile` from what each predicts of itself. A model that only one of them can hold is evaluated by
    that one: ``describe()["engines_left_out"]`` says why. ``backend="bfv"`` and ``backend="ckks"`` pin one.

    Examples
    --------
    >>> from fhe_estimators.backends import resolve_backend
    >>> resolve_backend("auto").name
    'auto'
    """

    name = "auto"
    package = __package__
    client_class = "client:AutoClient"
    evaluator_class = "evaluator:AutoEvaluator"

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        return self._find("compilation:quantize")(ensemble, quantizer)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return self._find("compilation:compile_program")(ensemble, quantizer, verbose=verbose)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return self._find("program:load_program")(ensemble, metadata)

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return self._find("program:simulate")(program, codes)
