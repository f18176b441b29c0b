"""What is said of models that an estimator cannot take over."""

from __future__ import annotations

import json
from typing import Any

from ..ensembles import TreeEnsemble

#: What LightGBM calls an objective that is a function.
_CUSTOM = "none"


def wrong_kind(estimator: str, wanted: str, model: Any, ensemble: TreeEnsemble) -> str:
    """Message for a model that predicts something else than an estimator does.

    Parameters
    ----------
    estimator : str
        Name of the estimator's class.
    wanted : {"classifier", "regressor", "isolation forest"}
        What it takes.
    model : estimator
        The model that was brought.
    ensemble : TreeEnsemble
        Its trees.

    Returns
    -------
    message : str
        It says what the model predicts, why, and who takes it.
    """
    name = model_name(model)
    if ensemble.link.is_outlier_detector:
        return f"{estimator} needs a {wanted}, got {name}: use FHEIsolationForest.from_fitted."
    objective = _objective(model)
    if wanted == "classifier" and objective == _CUSTOM:
        return (
            f"{estimator} needs a classifier, got {name} with an objective of its own, whose scores LightGBM predicts "
            "as they are: use FHERegressor, and make labels of its scores on the client."
        )
    kind, other = ("classifier", "FHEClassifier") if ensemble.link.is_classifier else ("regressor", "FHERegressor")
    of_objective = f" with objective={objective!r}, which makes it a {kind}" if objective else ""
    if name == "CatBoost" and wanted == "classifier":
        return (
            f"{estimator} needs a classifier, got CatBoost, which predicts raw scores: save its model and load it with "
            "CatBoostClassifier().load_model, or use FHERegressor for the scores."
        )
    article = "an" if wanted.startswith("i") else "a"
    return f"{estimator} needs {article} {wanted}, got {name}{of_objective}: use {other}."


def model_name(model: Any) -> str:
    """Name of a model's class, as its user knows it.

    Parameters
    ----------
    model : estimator or Booster
        As the user brought it, or wrapped.

    Returns
    -------
    name : str
        That of the booster, for a booster that was wrapped.
    """
    booster = getattr(model, "booster", None)
    if booster is None or isinstance(booster, str):
        return type(model).__name__
    if type(booster).__name__ == "CatBoost":
        return "CatBoost"
    library = {"xgboost": "XGBoost", "lightgbm": "LightGBM"}
    return f"a Booster of {library[type(booster).__module__.partition('.')[0]]}"


def _objective(model: Any) -> str | None:
    """The objective of a booster, named where it is the reason."""
    if hasattr(model, "get_booster"):
        return json.loads(model.get_booster().save_config())["learner"]["objective"]["name"]
    if hasattr(model, "booster_"):
        return (model.booster_.dump_model().get("objective") or _CUSTOM).partition(" ")[0]
    return None
