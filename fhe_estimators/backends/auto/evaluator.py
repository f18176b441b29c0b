"""The server's half: hands each request to the evaluator of the engine it is for. Holds no secret key."""

from __future__ import annotations

from typing import Any

from ...exceptions import KeyMismatchError
from .._base import Evaluator
from .._registry import resolve_backend
from ..key_cache import KeyCache
from .bundles import engine_of, unpack_bundle
from .program import AutoProgram


class AutoEvaluator(Evaluator):
    """Evaluates requests by the engine that the client chose.

    Parameters
    ----------
    program : AutoProgram
        Compiled.
    **options
        Of `Evaluator`; the engines' evaluators get them.
    """

    program: AutoProgram

    def __init__(self, program: AutoProgram, **options: Any):
        super().__init__(program, **options)
        self._evaluators: dict[str, Evaluator] = {}
        self._keys = KeyCache(self._read_keys)

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response, by the engine whose program the request names.

        Raises
        ------
        KeyMismatchError
            If request, keys and program do not belong together, or the keys are none for that engine.
        MemoryBudgetError
            If the evaluation would take more memory than the budget.
        ProtocolError
            If a message is malformed, truncated or altered.
        """
        engine = engine_of("request", request, self.program.engine_of_program)
        keys = self._keys(evaluation_keys)
        if engine not in keys:
            raise KeyMismatchError(
                f"The evaluation keys are for other engines ({', '.join(keys)}) than the request ({engine!r}): send "
                "the client's evaluation_keys as they are now."
            )
        return self._evaluator(engine).run(request, keys[engine])

    def _evaluator(self, engine: str) -> Evaluator:
        options: dict[str, Any] = {
            "n_jobs": self.n_jobs,
            "verbose": self.verbose,
            "rerandomize": self.rerandomize,
            "memory_budget_bytes": self.memory_budget_bytes,
        }
        if engine not in self._evaluators:
            self._evaluators[engine] = resolve_backend(engine).evaluator(self.program.programs[engine], **options)
        evaluator = self._evaluators[engine]
        for name, value in options.items():  # which may have been set since
            setattr(evaluator, name, value)
        return evaluator

    def _read_keys(self, message: bytes) -> dict[str, bytes]:
        """Evaluation keys by engine."""
        return unpack_bundle("evaluation_keys", message, self.program.program_id, self.program.programs)[1]
