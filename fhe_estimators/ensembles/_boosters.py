"""Boosters, as XGBoost's and LightGBM's own files hold them, as fitted estimators."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin


def as_estimator(model: Any) -> Any:
    """A fitted model as an estimator.

    Parameters
    ----------
    model : estimator or Booster
        A fitted estimator, or a booster of XGBoost or LightGBM.

    Returns
    -------
    estimator : estimator
        An estimator as it is; a booster inside a classifier or regressor, as its objective says.
    """
    library = type(model).__module__.partition(".")[0]
    if type(model).__name__ != "Booster" or library not in ("xgboost", "lightgbm"):
        return model
    if library == "lightgbm":  # whose estimators cannot load a booster
        is_classifier = model.dump_model().get("objective", "").startswith(("binary", "multiclass"))
        return LightGBMBoosterClassifier(model) if is_classifier else LightGBMBoosterRegressor(model)
    xgboost = import_module("xgboost")
    objective = json.loads(model.save_config())["learner"]["objective"]["name"]
    estimator = xgboost.XGBClassifier() if objective.startswith(("binary:", "multi:")) else xgboost.XGBRegressor()
    estimator.load_model(model.save_raw("ubj"))
    return estimator


class _LightGBMBooster(BaseEstimator):
    """A LightGBM booster as an estimator; `booster_` has the name that it has in LightGBM's own ones."""

    def __init__(self, booster: Any):
        self.booster = booster

    @property
    def booster_(self) -> Any:
        return self.booster

    @property
    def n_features_in_(self) -> int:
        return self.booster.num_feature()

    def fit(self, X: Any, y: Any) -> _LightGBMBooster:
        raise TypeError("A booster is not trained again: pass an unfitted LGBMClassifier or LGBMRegressor instead.")

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class LightGBMBoosterClassifier(ClassifierMixin, _LightGBMBooster):
    """Labels are 0, 1, ...: a booster knows no others."""

    @property
    def classes_(self) -> np.ndarray:
        return np.arange(max(2, self.booster.num_model_per_iteration()))

    def predict_proba(self, X: Any) -> np.ndarray:
        probabilities = np.asarray(self.booster.predict(X))
        return probabilities if probabilities.ndim == 2 else np.column_stack([1 - probabilities, probabilities])

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


class LightGBMBoosterRegressor(RegressorMixin, _LightGBMBooster):
    """Predicts what the booster does."""

    def predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.booster.predict(X))
