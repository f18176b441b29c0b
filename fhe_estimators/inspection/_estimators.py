"""Estimators as this package looks at them: inside pipelines and searches, and beside their float models."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    OutlierMixin,
    RegressorMixin,
    is_classifier,
    is_outlier_detector,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..ensembles import scores_from_sums
from ..ensembles.links import ClassificationLink
from ..estimators import BaseFHEEstimator
from ..exceptions import NotCompiledError


def unwrap(estimator: Any, X: Any) -> tuple[BaseFHEEstimator, Any]:
    """The encrypted estimator in a pipeline or search, and the rows that reach it."""
    while hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    if isinstance(estimator, Pipeline):
        if len(estimator) > 1:
            X = estimator[:-1].transform(X)
        return unwrap(estimator[-1], X)
    if not isinstance(estimator, BaseFHEEstimator):
        raise TypeError(
            f"estimator is a {type(estimator).__name__}: pass one of this library's tree estimators, or a pipeline or "
            "search that ends in one."
        )
    check_is_fitted(estimator, "quantized_ensemble_")
    return estimator, X


def require_compiled(estimator: BaseFHEEstimator, what: str) -> None:
    """Raise `NotCompiledError` before `compile`."""
    if not hasattr(estimator, "program_"):
        raise NotCompiledError(f"{what} needs a compiled model: call {type(estimator).__name__}.compile() after fit.")


class Predictions(BaseEstimator):
    """Predictions of a model to some rows, as an estimator of row numbers: any scikit-learn scorer can judge it.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        What ``predict`` returns.
    scores : ndarray of shape (n_samples, n_columns)
        Probabilities, values, or what ``decision_function`` returns.
    """

    def __init__(self, labels: np.ndarray, scores: np.ndarray):
        self.labels = labels
        self.scores = scores

    def fit(self, X: Any, y: Any = None) -> Predictions:
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.labels[X]


class _ClassifierPredictions(ClassifierMixin, Predictions):
    classes_: np.ndarray

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return self.scores[X]


class _RegressorPredictions(RegressorMixin, Predictions):
    pass


class _OutlierPredictions(OutlierMixin, Predictions):
    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return self.scores[X, 0]


def predictions_from_sums(estimator: BaseFHEEstimator, sums: np.ndarray) -> Predictions:
    """Predictions that sums of leaves stand for."""
    link, scores = estimator.quantized_ensemble_.link, scores_from_sums(estimator.quantized_ensemble_, sums)
    predicted = link.predict(scores, getattr(estimator, "classes_", None))
    if isinstance(link, ClassificationLink):
        return _classifier(estimator, predicted, link.probabilities(scores))
    if link.is_outlier_detector:
        return _OutlierPredictions(predicted, _columns(link.decision(scores)))
    return _RegressorPredictions(predicted, _columns(predicted))


def predictions_of_float_model(estimator: BaseFHEEstimator, X: Any) -> Predictions:
    """Predictions of the model that was trained, by its own library."""
    model = estimator.estimator_
    features = estimator.source_features(X)
    if is_outlier_detector(estimator):
        decision = model.decision_function(features)
        # contamination moves the border in the encrypted estimator only
        decision = decision + model.offset_ - estimator.offset_
        return _OutlierPredictions(np.where(decision < 0, -1, 1), _columns(decision))
    labels = np.asarray(model.predict(features))
    if not is_classifier(estimator):
        return _RegressorPredictions(labels, _columns(labels))
    if not isinstance(estimator.classes_, list) and hasattr(model, "classes_"):
        # XGBoost and CatBoost were trained on class numbers; the latter predicts a column of labels.
        labels = estimator.classes_[np.searchsorted(model.classes_, labels.ravel())]
    return _classifier(estimator, labels, model.predict_proba(features))


def _classifier(estimator: BaseFHEEstimator, labels: np.ndarray, probabilities: Any) -> Predictions:
    predictions = _ClassifierPredictions(labels, _columns(probabilities))
    predictions.classes_ = estimator.classes_
    return predictions


def _columns(scores: Any) -> np.ndarray:
    """Two-dimensional; the probabilities of several outputs side by side."""
    if isinstance(scores, list):
        return np.hstack(scores)
    scores = np.asarray(scores, dtype=np.float64)
    return scores[:, None] if scores.ndim == 1 else scores
