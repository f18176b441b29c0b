"""Time the phases of encrypted prediction apart, and compare its answer with the clear ones."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor

from fhe_estimators.ensembles import scores_from_sums, sum_leaves

#: Runs after the first are skipped once a phase has taken this long altogether.
BUDGET_SECONDS = 60.0


@dataclass
class Phases:
    """Seconds of every run of every phase, sizes of all messages, and the decrypted leaf sums.

    The client's phases include quantization and the link function, the server's the parsing of
    messages. Parsed evaluation keys are kept by the server between requests: only its first run pays.
    """

    seconds: dict[str, list[float]] = field(default_factory=dict)
    key_bytes: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    sums: np.ndarray | None = None

    def median(self, phase: str) -> float:
        return statistics.median(self.seconds[phase])

    def total(self) -> float:
        """Encrypt, evaluate, decrypt."""
        return sum(self.median(phase) for phase in ("encrypt", "evaluate", "decrypt"))


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


def measure(estimator: Any, X: np.ndarray, *, repeat: int, n_jobs: int | None = None) -> Phases:
    """Compile a fitted estimator, then encrypt, evaluate and decrypt ``X``, each phase ``repeat`` times."""
    phases = Phases()

    def timed(phase: str, function: Callable[[], Any]) -> Any:
        phases.seconds[phase], result = repeated(function, repeat)
        return result

    timed("compile", lambda: estimator.compile())
    backend, program = estimator.backend_, estimator.program_
    client = backend.client(program.client_spec)
    evaluator = backend.evaluator(program, n_jobs=n_jobs)
    rows = np.asarray(X, dtype=estimator.ensemble_.input_dtype)

    keys = timed("keygen", client.generate_keys)
    request = timed("encrypt", lambda: client.encrypt(estimator.quantizer_.transform(rows)))
    phases.seconds["first evaluate"], _ = repeated(lambda: evaluator.run(request, keys), 1)
    response = timed("evaluate", lambda: evaluator.run(request, keys))
    phases.key_bytes, phases.request_bytes, phases.response_bytes = len(keys), len(request), len(response)
    phases.sums = client.decrypt(response)
    timed("decrypt", lambda: link(estimator, client.decrypt(response)))
    return phases


def stop_workers() -> None:
    """End the processes joblib keeps for later calls: a process of a pool cannot exit before they do."""
    get_reusable_executor().shutdown(wait=True)


def link(estimator: Any, sums: np.ndarray) -> np.ndarray:
    """Probabilities or predictions from leaf sums."""
    ensemble = estimator.quantized_ensemble_
    return ensemble.link.apply(scores_from_sums(ensemble, sums))


def clear_sums(estimator: Any, X: np.ndarray) -> np.ndarray:
    """Leaf sums of the quantized model in the clear: what ``fhe="disable"`` computes."""
    rows = np.asarray(X, dtype=estimator.ensemble_.input_dtype)
    return sum_leaves(estimator.quantized_ensemble_, estimator.quantizer_.transform(rows))


@dataclass
class Agreement:
    """How an encrypted answer compares with both clear models.

    Attributes
    ----------
    exact_rows : int
        Rows whose integers equal those of the quantized model in the clear.
    equal_labels : int or None
        Rows labelled as by the float model; None for regression.
    score_error, score_range : float
        Largest difference to the float model's scores (margins of boosted trees, probabilities of
        averaging ones, predictions of regressors), and the spread of those scores.
    clear_seconds : float
        The float model's own ``predict``, median.
    """

    exact_rows: int
    equal_labels: int | None
    score_error: float
    score_range: float
    clear_seconds: float


def compare(estimator: Any, X: np.ndarray, sums: np.ndarray, *, repeat: int) -> Agreement:
    """Compare decrypted leaf sums with the quantized and the float model."""
    model = estimator.estimator_
    runs, float_labels = repeated(lambda: model.predict(X), repeat)
    exact = (sums == clear_sums(estimator, X)).all(axis=1)
    theirs, ours = _float_scores(model, X), _our_scores(estimator, sums)
    equal_labels = None
    if hasattr(estimator, "classes_"):
        scores = scores_from_sums(estimator.quantized_ensemble_, sums)
        indices = estimator.quantized_ensemble_.link.class_indices(scores)[:, 0]
        equal_labels = int((model.classes_[indices] == float_labels).sum())
    return Agreement(
        exact_rows=int(exact.sum()),
        equal_labels=equal_labels,
        score_error=float(np.abs(ours - theirs).max()),
        score_range=float(theirs.max() - theirs.min()),
        clear_seconds=statistics.median(runs),
    )


def _float_scores(model: Any, X: np.ndarray) -> np.ndarray:
    """The float model's scores by its own library, shape (n_rows, n_scores)."""
    library = type(model).__module__.partition(".")[0]
    if library == "xgboost":
        scores = model.predict(X, output_margin=True)
    elif library == "lightgbm":
        scores = model.predict(X, raw_score=True)
    elif hasattr(model, "predict_proba"):
        scores = model.predict_proba(X)
    else:
        scores = model.predict(X)
    return np.asarray(scores, dtype=np.float64).reshape(len(X), -1)


def _our_scores(estimator: Any, sums: np.ndarray) -> np.ndarray:
    """The encrypted model's scores, as `_float_scores` gives the float model's."""
    boosted = type(estimator.estimator_).__module__.partition(".")[0] != "sklearn"
    scores = scores_from_sums(estimator.quantized_ensemble_, sums) if boosted else link(estimator, sums)
    return scores.reshape(len(sums), -1)
