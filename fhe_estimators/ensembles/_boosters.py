"""Boosters, as the libraries' own files hold them, as fitted estimators that predict as the boosters do."""

from __future__ import annotations

import json
from abc import abstractmethod
from importlib import import_module
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from ..exceptions import UnsupportedModelError


def as_estimator(model: Any, missing: float | None = None) -> Any:
    """A fitted model as an estimator.

    Parameters
    ----------
    model : estimator or Booster
        A fitted estimator, a booster of XGBoost or LightGBM, or CatBoost's ``CatBoost``.
    missing : float, default=None
        The value that stood for missing ones, besides NaN, in the ``DMatrix`` that an XGBoost booster was trained on:
        the booster does not know it. None: NaN alone.

    Returns
    -------
    estimator : estimator
        An estimator as it is; a booster inside a classifier or regressor, as its objective says, which predicts what
        the booster's own ``predict`` does.

    Raises
    ------
    ValueError
        If ``missing`` is given for anything but a booster of XGBoost.
    """
    library = type(model).__module__.partition(".")[0]
    if missing is not None and (type(model).__name__, library) != ("Booster", "xgboost"):
        raise ValueError(
            f"missing={missing!r} is for boosters of XGBoost, which do not know it; a {type(model).__name__} predicts "
            "as it was trained: leave missing out."
        )
    if type(model).__name__ == "CatBoost" and library == "catboost":
        return CatBoostModel(model)
    if type(model).__name__ != "Booster" or library not in ("xgboost", "lightgbm"):
        return model
    if library == "lightgbm":
        is_classifier = lightgbm_dump(model).get("objective", "").startswith(("binary", "multiclass"))
        return LightGBMBoosterClassifier(model) if is_classifier else LightGBMBoosterRegressor(model)
    objective = json.loads(model.save_config())["learner"]["objective"]["name"]
    is_classifier = objective in ("binary:logistic", "multi:softprob", "multi:softmax")
    return (XGBoostBoosterClassifier if is_classifier else XGBoostBoosterRegressor)(model, missing)


def lightgbm_dump(booster: Any) -> dict[str, Any]:
    """The model as LightGBM describes it, its categories included, which have to be of types that JSON knows."""
    try:
        return booster.dump_model()
    except (TypeError, ValueError) as error:
        kinds = sorted({type(value).__name__ for of_column in booster.pandas_categorical or [] for value in of_column})
        raise UnsupportedModelError(
            f"LightGBM cannot describe or save a model of categories of types {kinds} ({error}): make strings of them "
            "before training, as by column.cat.rename_categories(str)."
        ) from error


class BoosterEstimator(BaseEstimator):
    """A booster as an estimator.

    Parameters
    ----------
    booster : Booster
        Trained.
    """

    #: The library's own estimators, which can be trained.
    _trainable: str

    def __init__(self, booster: Any):
        self.booster = booster

    @property
    @abstractmethod
    def n_features_in_(self) -> int:
        """Number of features."""

    @property
    @abstractmethod
    def column_names(self) -> list[str] | None:
        """Names of the columns; None if the booster has none."""

    @abstractmethod
    def _booster_predict(self, X: Any) -> np.ndarray:
        """What the booster's own ``predict`` returns."""

    def fit(self, X: Any, y: Any) -> BoosterEstimator:
        """Refuse: a booster is trained already."""
        raise TypeError(f"A booster is not trained again: pass an unfitted {self._trainable} instead.")

    def __sklearn_clone__(self) -> BoosterEstimator:
        return type(self)(
            **self.get_params(deep=False)
        )  # which cannot be trained, so an unfitted one would be of no use

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


class _BoosterClassifier(ClassifierMixin, BoosterEstimator):
    """Labels are 0, 1, ...: a booster knows no others."""

    @property
    @abstractmethod
    def _n_classes(self) -> int:
        """At least 2."""

    @property
    def classes_(self) -> np.ndarray:
        return np.arange(self._n_classes)

    def predict_proba(self, X: Any) -> np.ndarray:
        probabilities = self._booster_predict(X)
        return probabilities if probabilities.ndim == 2 else np.column_stack([1 - probabilities, probabilities])

    def predict(self, X: Any) -> np.ndarray:
        return self.predict_proba(X).argmax(axis=1)


class _BoosterRegressor(RegressorMixin, BoosterEstimator):
    """Predicts what the booster does."""

    def predict(self, X: Any) -> np.ndarray:
        return self._booster_predict(X)


class _LightGBMBooster(BoosterEstimator):
    _trainable = "LGBMClassifier or LGBMRegressor"

    @property
    def booster_(self) -> Any:
        """The booster, by the name that it has in LightGBM's own estimators."""
        return self.booster

    @property
    def n_features_in_(self) -> int:
        return self.booster.num_feature()

    @property
    def column_names(self) -> list[str] | None:
        return self.booster.feature_name()

    @property
    def _n_classes(self) -> int:
        return max(2, self.booster.num_model_per_iteration())

    def _booster_predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.booster.predict(X))


class LightGBMBoosterClassifier(_LightGBMBooster, _BoosterClassifier):
    """A LightGBM booster with a binary or multi-class objective."""


class LightGBMBoosterRegressor(_LightGBMBooster, _BoosterRegressor):
    """A LightGBM booster with any other objective."""


class _XGBoostBooster(BoosterEstimator):
    _trainable = "XGBClassifier or XGBRegressor"

    def __init__(self, booster: Any, missing: float | None = None):
        super().__init__(booster)
        self.missing = missing

    def get_booster(self) -> Any:
        """The booster, by the name that it has in XGBoost's own estimators."""
        return self.booster

    @property
    def n_features_in_(self) -> int:
        return self.booster.num_features()

    @property
    def column_names(self) -> list[str] | None:
        return self.booster.feature_names

    @property
    def _n_classes(self) -> int:
        return max(2, int(json.loads(self.booster.save_config())["learner"]["learner_model_param"]["num_class"]))

    @property
    def _objective(self) -> str:
        return json.loads(self.booster.save_config())["learner"]["objective"]["name"]

    def _booster_predict(self, X: Any) -> np.ndarray:
        names = None if hasattr(X, "columns") else self.booster.feature_names
        missing = np.nan if self.missing is None else self.missing
        rows = import_module("xgboost").DMatrix(X, missing=missing, feature_names=names, enable_categorical=True)
        if self._objective == "multi:softmax":  # predicts labels instead of probabilities
            return softmax(self.booster.predict(rows, output_margin=True, validate_features=False), axis=1)
        return np.asarray(self.booster.predict(rows, validate_features=False))


class XGBoostBoosterClassifier(_XGBoostBooster, _BoosterClassifier):
    """An XGBoost booster with a binary or multi-class objective."""


class XGBoostBoosterRegressor(_XGBoostBooster, _BoosterRegressor):
    """An XGBoost booster with any other objective."""


class CatBoostModel(_BoosterRegressor):
    """CatBoost's ``CatBoost``, which predicts raw scores whatever its loss function is."""

    _trainable = "CatBoostClassifier or CatBoostRegressor"

    @property
    def n_features_in_(self) -> int:
        return len(self.booster.feature_names_)

    @property
    def column_names(self) -> list[str] | None:
        return self.booster.feature_names_

    def __sklearn_is_fitted__(self) -> bool:
        return self.booster.is_fitted()

    def _booster_predict(self, X: Any) -> np.ndarray:
        return np.asarray(self.booster.predict(X))
