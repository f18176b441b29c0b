"""A check of every imported model: its own predictions beside those of the trees that were read from it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _num_samples

from ..ensembles import RowEncoding, TreeEnsemble, absent_value, evaluate, rows_for
from ..exceptions import UnsupportedModelError
from ..utils import dense_rows, without_sparse_columns

#: Samples that are made from thresholds, and those that are taken from the user's.
_N_SAMPLES = 256
#: Accepted differences: of the range of predictions, and of the largest one for sums in float32 (XGBoost) and float64.
_OF_RANGE, _OF_FLOAT32, _OF_FLOAT64 = 1e-4, 1e-5, 1e-9


def check_import(model: Any, ensemble: TreeEnsemble, X: Any = None) -> None:
    """Compare a model's own predictions with its trees' on samples around the thresholds, and on the user's.

    Parameters
    ----------
    model : estimator
        Fitted, as the user brought it.
    ensemble : TreeEnsemble
        What was imported of it, in floats.
    X : array-like of shape (n_samples, n_features), default=None
        Samples of the user's; the first few hundred are compared as well.

    Raises
    ------
    UnsupportedModelError
        If a prediction differs; the message names the first such sample and both predictions.
    """
    if type(model).__module__.startswith("concrete."):
        return  # Concrete ML rounds leaves to a few bits; they are taken over before that
    _compare(model, ensemble, samples_around_thresholds(ensemble), "a sample made from its thresholds")
    if X is not None:
        X = X.tocsr() if sparse.issparse(X) else without_sparse_columns(X)
        _compare(model, ensemble, _safe_indexing(X, np.arange(min(_N_SAMPLES, _num_samples(X)))), "X")


def samples_around_thresholds(ensemble: TreeEnsemble, n_samples: int = _N_SAMPLES) -> np.ndarray:
    """Samples whose values are thresholds, their neighbours among floats, and missing ones where the model takes them.

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats.
    n_samples : int, default=256
        Number of samples.

    Returns
    -------
    samples : ndarray of shape (n_samples, n_features), float64
        The same for the same ensemble.
    """
    random = np.random.default_rng(0)
    inner = ~ensemble.is_leaf
    samples = np.zeros((n_samples, ensemble.n_columns))
    for feature in np.unique(ensemble.feature[inner & (ensemble.feature < ensemble.n_columns)]):
        thresholds = np.unique(ensemble.threshold[inner & (ensemble.feature == feature)])
        thresholds = thresholds[np.isfinite(thresholds)].astype(ensemble.input_dtype)
        if len(thresholds) == 0:
            continue
        below, above = (np.nextafter(thresholds, thresholds.dtype.type(side)) for side in (-np.inf, np.inf))
        candidates = np.concatenate([below, thresholds, above, thresholds[1:] / 2 + thresholds[:-1] / 2])
        samples[:, feature] = random.choice(candidates[np.isfinite(candidates)], n_samples)
    if ensemble.allow_nan:
        samples[random.random(samples.shape) < 0.1] = np.nan
    return samples if ensemble.encoding is None else _with_categories(samples, ensemble.encoding, random)


def _with_categories(samples: np.ndarray, encoding: RowEncoding, random: np.random.Generator) -> np.ndarray:
    """Samples with codes of categories, known and unknown ones, as arrays hold them where the model knows any."""
    known = {one.column: one.values for one in encoding.categories if one.in_arrays}
    codes: dict[int, set[float]] = {one.column: {-1.0, np.nan} for one in encoding.sets}
    for one in encoding.sets:
        codes[one.column] |= {float(code) for code in (*one.codes, *(code + 1 for code in one.codes))}
    for column, choices in codes.items():
        samples[:, column] = random.choice(sorted(choices), len(samples))
    if not known:
        return samples
    table = samples.astype(object)
    for column, values in known.items():
        objects = [*(values or ()), np.nan]
        table[:, column] = [objects[i] for i in random.integers(len(objects), size=len(table))]
    return table


def _compare(model: Any, ensemble: TreeEnsemble, samples: Any, source: str) -> None:
    scores, link = _scores_of_trees(ensemble, samples, absent_value(model)), ensemble.link
    rows = rows_for(model, samples)
    rounding = _rounding_of_sums(ensemble) * np.abs(scores).max()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of feature names, which samples made from thresholds have not
        ours, theirs = _columns(link.apply(scores)), _predictions_of_model(model, rows, ensemble)
        _check_equal(model, ensemble, ours, theirs, _change_of_predictions(ensemble, scores, ours, rounding), source)
        if link.is_classifier and hasattr(model, "decision_function"):
            ours, theirs = _columns(link.decision(scores)), _columns(model.decision_function(rows))
            _check_equal(model, ensemble, ours, theirs, np.asarray(rounding), source)


def _check_equal(
    model: Any, ensemble: TreeEnsemble, ours: np.ndarray, theirs: np.ndarray, rounding: np.ndarray, source: str
) -> None:
    if ours.shape != theirs.shape:
        raise UnsupportedModelError(
            f"{type(model).__name__} predicts arrays of shape {theirs.shape}, its trees of shape {ours.shape}: it "
            "computes something else than the sum of its trees."
        )
    limit = _OF_RANGE * np.ptp(theirs, axis=0) + _rounding_of_sums(ensemble) * np.abs(theirs).max(axis=0) + rounding
    wrong = np.flatnonzero((np.abs(ours - theirs) > limit).any(axis=1))
    if len(wrong):
        first = int(wrong[0])
        raise UnsupportedModelError(
            f"The trees of this {type(model).__name__} do not predict what it predicts itself, for {len(wrong)} of "
            f"{len(ours)} samples. The first is row {first} of {source}: the model predicts "
            f"{theirs[first].tolist()}, its trees {ours[first].tolist()}. Please report this as a bug."
        )


def _scores_of_trees(ensemble: TreeEnsemble, samples: Any, absent: float) -> np.ndarray:
    rows = dense_rows(samples, absent)
    return evaluate(ensemble, np.asarray(rows, dtype=np.float64) if ensemble.encoding is None else rows)


def _rounding_of_sums(ensemble: TreeEnsemble) -> float:
    return _OF_FLOAT32 if ensemble.strict else _OF_FLOAT64


def _change_of_predictions(
    ensemble: TreeEnsemble, scores: np.ndarray, predictions: np.ndarray, rounding: float
) -> np.ndarray:
    """What rounding of the scores changes in each prediction: much where the link is an exponential of large scores."""
    below, above = (_columns(ensemble.link.apply(scores + change)) for change in (-rounding, rounding))
    return np.maximum(np.abs(above - predictions), np.abs(predictions - below))


def _predictions_of_model(model: Any, rows: Any, ensemble: TreeEnsemble) -> np.ndarray:
    link = ensemble.link
    if link.is_outlier_detector:
        return _columns(model.decision_function(rows))
    if not link.is_classifier:
        return _columns(model.predict(rows))
    probabilities = model.predict_proba(rows)
    return np.hstack(probabilities) if isinstance(probabilities, list) else np.asarray(probabilities)


def _columns(values: Any) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return values[:, None] if values.ndim == 1 else values
