"""`AutoBackend`: the factory of programs that hold two engines."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...quantizers import FeatureQuantizer
from .._base import Backend, Client, Evaluator
from .._program import ClientSpec, Program


class AutoBackend(Backend):
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

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        return _module("compilation").quantize(ensemble, quantizer)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return _module("compilation").compile_program(ensemble, quantizer, verbose=verbose)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return _module("program").load_program(ensemble, metadata)

    def client(self, spec: ClientSpec, *, verbose: int = 0) -> Client:
        return _module("client").AutoClient(spec, verbose=verbose)

    def evaluator(
        self,
        program: Program,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        rerandomize: bool = False,
        memory_budget_bytes: int | None = None,
    ) -> Evaluator:
        return _module("evaluator").AutoEvaluator(
            program,
            n_jobs=n_jobs,
            verbose=verbose,
            rerandomize=rerandomize,
            memory_budget_bytes=memory_budget_bytes,
        )

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return _module("program").simulate(program, codes)


def _module(name: str) -> Any:
    # By name, so that no server-side module has a static path to the one that decrypts.
    return import_module(f"{__package__}.{name}")
