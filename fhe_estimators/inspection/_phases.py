"""Seconds of every phase of encrypted prediction, and sizes of all messages."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from sklearn.utils.validation import _num_samples

from ._estimators import require_compiled

#: Runs after the first are skipped once a phase has taken this long altogether.
BUDGET_SECONDS = 60.0
#: What a client waits for when it asks for predictions.
ONLINE_PHASES = ("encrypt", "evaluate", "decrypt")


@dataclass
class Phases:
    """What encrypted prediction of some rows took.

    Parameters
    ----------
    n_rows : int
        The number of rows.
    seconds : dict of str to list of float, default={}
        Of every run of ``"keygen"``, ``"encrypt"``, ``"first evaluate"``, ``"evaluate"`` and ``"decrypt"``. The
        client's phases include quantization, the server's the parsing of messages. Parsed evaluation keys are kept by
        the server between requests: only its first run pays.
    key_bytes : int, default=0
        Size of the evaluation keys.
    request_bytes : int, default=0
        Size of the encrypted rows.
    response_bytes : int, default=0
        Size of the encrypted scores.
    sums : ndarray of int64, shape (n_samples, n_scores), default=None
        Decrypted sums of leaves.
    """

    n_rows: int
    seconds: dict[str, list[float]] = field(default_factory=dict)
    key_bytes: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    sums: np.ndarray | None = None

    def median(self, phase: str) -> float:
        """Median seconds of a phase.

        Parameters
        ----------
        phase : str
            Key of `seconds`.

        Returns
        -------
        seconds : float
            Over all runs.
        """
        return statistics.median(self.seconds[phase])

    def total(self) -> float:
        """Median seconds of encryption, evaluation and decryption together.

        Returns
        -------
        seconds : float
            What a client waits, transfer apart.
        """
        return sum(self.median(phase) for phase in ONLINE_PHASES)


def measure_phases(estimator: Any, X: Any, *, repeat: int = 1, n_jobs: int | None = None) -> Phases:
    """Encrypt, evaluate and decrypt rows with new keys, each phase by itself.

    Parameters
    ----------
    estimator : estimator
        Compiled.
    X : array-like of shape (n_samples, n_features)
        Rows to predict.
    repeat : int, default=1
        Runs of every phase.
    n_jobs : int, default=None
        Processes of the server.

    Returns
    -------
    phases : Phases
        Seconds, sizes and the decrypted sums.
    """
    require_compiled(estimator, "measure_phases")
    backend, program = estimator.backend_, estimator.program_
    client = backend.client(program.client_spec)
    evaluator = backend.evaluator(program, n_jobs=n_jobs)
    phases = Phases(_num_samples(X))

    def timed(phase: str, function: Callable[[], Any]) -> Any:
        phases.seconds[phase], result = repeated(function, repeat)
        return result

    def make_keys() -> bytes:
        """Of the engine that takes these rows, where a program holds several."""
        engine = program.engine_for(phases.n_rows)
        return client.generate_keys() if engine == program.backend else cast(Any, client).generate_keys(engine)

    keys = timed("keygen", make_keys)
    request = timed("encrypt", lambda: client.encrypt(estimator.quantize(X)))
    phases.seconds["first evaluate"], _ = repeated(lambda: evaluator.run(request, keys), 1)
    response = timed("evaluate", lambda: evaluator.run(request, keys))
    phases.sums = timed("decrypt", lambda: client.decrypt(response))
    phases.key_bytes, phases.request_bytes, phases.response_bytes = len(keys), len(request), len(response)
    return phases


def repeated(function: Callable[[], Any], repeat: int, budget: float = BUDGET_SECONDS) -> tuple[list[float], Any]:
    """Seconds of up to ``repeat`` runs, and what the last one returned."""
    runs: list[float] = []
    result = None
    while not runs or (len(runs) < repeat and sum(runs) < budget):
        result = None  # the former answer is not kept in memory beside the new one
        start = time.perf_counter()
        result = function()
        runs.append(time.perf_counter() - start)
    return runs, result
