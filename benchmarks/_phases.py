"""Time the phases of encrypted prediction apart, and compare its answer with the clear ones."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib.externals.loky import get_reusable_executor

from fhe_estimators.ensembles import scores_from_sums, sum_leaves
from fhe_estimators.inspection import Phases, measure_phases
from fhe_estimators.inspection._phases import repeated


def measure(estimator: Any, X: np.ndarray, *, repeat: int, n_jobs: int | None = None) -> Phases:
    """Compile a fitted estimator, then encrypt, evaluate and decrypt ``X``, each phase ``repeat`` times."""
    compile_seconds, _ = repeated(estimator.compile, repeat)
    phases = measure_phases(estimator, X, repeat=repeat, n_jobs=n_jobs)
    phases.seconds["compile"] = compile_seconds
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
    return sum_leaves(estimator.quantized_ensemble_, estimator.quantize(X))


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
    model, features = estimator.estimator_, estimator.source_features(X)
    runs, float_labels = repeated(lambda: model.predict(features), repeat)
    exact = (sums == clear_sums(estimator, X)).all(axis=1)
    theirs, ours = _float_scores(model, features), _our_scores(estimator, sums)
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
    """The float model's scores by its own library, shape (n_samples, n_scores)."""
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
