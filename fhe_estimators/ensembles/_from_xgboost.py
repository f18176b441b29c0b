"""Importer of XGBoost models, from the JSON that the library documents as its stable format."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.base import is_classifier

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._ensemble import TreeEnsemble
from .links import ExpitLink, ExpLink, IdentityLink, Link, SigmoidLink, SoftmaxLink

#: Objective -> (link, what turns the base score in the file into a margin).
_OBJECTIVES: dict[str, tuple[type[Link], Any]] = {
    "binary:logistic": (SigmoidLink, logit),
    "multi:softprob": (SoftmaxLink, None),
    "multi:softmax": (SoftmaxLink, None),
    "reg:logistic": (ExpitLink, logit),
    "reg:squarederror": (IdentityLink, None),
    "reg:squaredlogerror": (IdentityLink, None),
    "reg:absoluteerror": (IdentityLink, None),
    "reg:pseudohubererror": (IdentityLink, None),
    "reg:quantileerror": (IdentityLink, None),
    "reg:gamma": (ExpLink, np.log),
    "reg:tweedie": (ExpLink, np.log),
    "count:poisson": (ExpLink, np.log),
}

#: A margin at which exp and sigmoid are 0 (or the sigmoid 1) in the float32 arithmetic of XGBoost.
_SATURATED = 104.0


def import_model(model: Any) -> TreeEnsemble:
    """Import a fitted ``XGBClassifier``, ``XGBRegressor`` or a random-forest variant of them."""
    if not hasattr(model, "get_booster"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a scikit-learn-style XGBoost model: use XGBClassifier or XGBRegressor "
            "(load a saved booster with their load_model)."
        )
    if not np.isnan(model.missing):
        raise UnsupportedModelError(f"missing={model.missing!r} is not supported: use NaN for missing values.")
    learner = json.loads(model.get_booster().save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if objective not in _OBJECTIVES:
        raise UnsupportedModelError(f"objective={objective!r} is not supported: use one of {sorted(_OBJECTIVES)}.")
    link, to_margin = _OBJECTIVES[objective]
    if link is SigmoidLink and not is_classifier(model):
        link = ExpitLink  # a regressor predicts the probability of the second class
    trees = _trees(learner["gradient_booster"], learner["learner_model_param"], _n_rounds(model))
    n_scores = _n_scores(learner["learner_model_param"])
    if link is SigmoidLink and n_scores > 1:
        raise UnsupportedModelError("Multi-label XGBoost models are not supported: train one model a label.")
    base = np.broadcast_to(_base_score(learner["learner_model_param"]), (n_scores,))
    return assemble(
        trees,
        n_features=int(learner["learner_model_param"]["num_feature"]),
        n_scores=n_scores,
        base_score=np.array(base) if to_margin is None else _finite_margin(to_margin, base),
        link=link(),
        strict=True,
        input_dtype="float32",
        allow_nan=True,
    )


def _finite_margin(to_margin: Any, base: np.ndarray) -> np.ndarray:
    """Margin of a base score; that of 0 or 1 (a training set of one class) is brought into the range of floats."""
    with np.errstate(divide="ignore"):
        return np.clip(to_margin(base), -_SATURATED, _SATURATED)


def _n_rounds(model: Any) -> int | None:
    """Boosting rounds that the model's own ``predict`` uses; all of them if None."""
    try:
        return int(model.best_iteration) + 1
    except AttributeError:  # trained without early stopping
        return None


def _n_scores(parameters: dict[str, str]) -> int:
    return max(int(parameters["num_class"]), int(parameters.get("num_target", 1)), 1)


def _base_score(parameters: dict[str, str]) -> np.ndarray:
    """Base score, shape (1,) or (n_scores,): a number in older files, a list in newer ones."""
    return np.asarray(np.atleast_1d(json.loads(parameters["base_score"])), dtype=np.float32).astype(np.float64)


def _trees(booster: dict[str, Any], parameters: dict[str, str], n_rounds: int | None) -> list[SourceTree]:
    weights = None
    if booster["name"] == "dart":  # before XGBoost 3.4
        booster, weights = booster["gbtree"], booster["weight_drop"]
    if "model" not in booster or "trees" not in booster["model"]:
        raise UnsupportedModelError(f"booster={booster['name']!r} is not made of trees: use 'gbtree' or 'dart'.")
    model = booster["model"]
    used = len(model["trees"])
    weights = weights or model.get("weight_drop") or [1.0] * used
    if len(weights) != used:
        raise UnsupportedModelError(f"The XGBoost model has {used} trees and {len(weights)} weights of them.")
    if n_rounds is not None:
        per_round = int(model["gbtree_model_param"]["num_parallel_tree"]) * _n_scores(parameters)
        used = min(used, n_rounds * per_round)
    return [_tree(model["trees"][i], model["tree_info"][i], weights[i]) for i in range(used)]


def _tree(tree: dict[str, Any], column: int, weight: float) -> SourceTree:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise UnsupportedModelError(
            "multi_strategy='multi_output_tree' is not supported: train with multi_strategy='one_output_per_tree'."
        )
    if any(tree.get("split_type", ())):
        raise UnsupportedModelError(
            "The XGBoost model splits on categories: encode them as numbers before training and set "
            "enable_categorical=False."
        )
    left = np.array(tree["left_children"], dtype=np.int64)
    # Thresholds of inner nodes, values of leaves: float32 printed in decimal.
    condition = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    return SourceTree(
        feature=np.array(tree["split_indices"], dtype=np.int64),
        threshold=condition,
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        missing_right=~np.array(tree["default_left"], dtype=bool),
        value=condition[:, None] * weight,
        column=int(column),
        cover=np.array(tree["sum_hessian"], dtype=np.float32).astype(np.float64),
    )
