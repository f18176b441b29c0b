"""`BFVBackend`: the engine's factory."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble, sum_leaves
from ...quantizers import TARGET_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from ...utils import import_optional
from .._base import Backend, Client, Evaluator
from .._program import ClientSpec, Program

#: Smallest and largest precision of a leaf sum.
_MIN_SCORE_BITS, _MAX_SCORE_BITS = 8, 30


class BFVBackend(Backend):
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

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        score_bits = int(np.clip(score_bits_for(ensemble, TARGET_SCORE_ERROR), _MIN_SCORE_BITS, _MAX_SCORE_BITS))
        return quantize_leaves(quantizer.quantize_thresholds(ensemble), score_bits)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return _module("program").compile_program(ensemble, quantizer.hidden_code_bits, quantizer.client_learns)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return _module("program").load_program(ensemble, metadata)

    def client(self, spec: ClientSpec, *, verbose: int = 0) -> Client:
        _require_seal()
        return _module("client").BFVClient(spec, verbose=verbose)

    def evaluator(
        self,
        program: Program,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ) -> Evaluator:
        _require_seal()
        return _module("evaluator.requests").BFVEvaluator(
            program,
            n_jobs=n_jobs,
            verbose=verbose,
            rerandomize=rerandomize,
            memory_budget_bytes=memory_budget_bytes,
        )

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return sum_leaves(program.ensemble, codes)  # there is no noise in the results to simulate


def _module(name: str) -> Any:
    # By name, so that no server-side module has a static path to the one that decrypts.
    return import_module(f"{__package__}.{name}")


def _require_seal() -> None:
    import_optional("tenseal.sealapi", package="tenseal", purpose='backend="bfv"')
