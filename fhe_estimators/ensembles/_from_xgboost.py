"""Importer of XGBoost models, from the JSON that the library documents as its stable format."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
from scipy.special import logit
from sklearn.base import is_classifier

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._categories import CategoryColumn, SetFeatures
from ._columns import category_columns, category_values
from ._encoding import RowEncoding
from ._ensemble import TreeEnsemble
from .links import ExpitLink, ExpLink, IdentityLink, Link, SigmoidLink, SoftmaxLink
from .links._registry import link_of_kind

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
    "reg:expectileerror": (IdentityLink, None),
    "rank:map": (IdentityLink, None),
    "rank:ndcg": (IdentityLink, None),
    "rank:pairwise": (IdentityLink, None),
    "reg:gamma": (ExpLink, np.log),
    "reg:tweedie": (ExpLink, np.log),
    "count:poisson": (ExpLink, np.log),
    "survival:aft": (ExpLink, np.log),
    "survival:cox": (ExpLink, np.log),
    "binary:logitraw": (IdentityLink, None),
}

#: A margin at which exp and sigmoid are 0 (or the sigmoid 1) in the float32 arithmetic of XGBoost.
_SATURATED = 104.0


def import_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Import a fitted ``XGBClassifier``, ``XGBRegressor``, ``XGBRanker`` or a random-forest variant of them.

    ``X`` are rows as it was trained on.
    """
    if not hasattr(model, "get_booster"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a scikit-learn-style XGBoost model: use XGBClassifier or XGBRegressor "
            "(load a saved booster with their load_model)."
        )
    learner = json.loads(model.get_booster().save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if objective not in _OBJECTIVES:
        raise UnsupportedModelError(f"objective={objective!r} is not supported: use one of {sorted(_OBJECTIVES)}.")
    link, to_margin = _OBJECTIVES[objective]
    link = link_of_kind(link, of_classifier=is_classifier(model))
    sets = SetFeatures(int(learner["learner_model_param"]["num_feature"]))
    trees = _trees(learner["gradient_booster"], learner["learner_model_param"], _n_rounds(model), sets)
    n_scores = _n_scores(learner["learner_model_param"])
    if link is SigmoidLink and n_scores > 1:
        raise UnsupportedModelError("Multi-label XGBoost models are not supported: train one model a label.")
    base = np.broadcast_to(_base_score(learner["learner_model_param"]), (n_scores,))
    return assemble(
        trees,
        n_features=sets.n_columns + len(sets.sets),
        n_scores=n_scores,
        base_score=np.array(base) if to_margin is None else _finite_margin(to_margin, base),
        link=link(),
        strict=True,
        input_dtype="float32",
        allow_nan=True,
        encoding=_encoding(model, learner, sets, X),
    )


def _encoding(model: Any, learner: dict[str, Any], sets: SetFeatures, X: Any) -> RowEncoding | None:
    categories = _categories(learner, X)
    missing = None if model.missing is None or np.isnan(model.missing) else float(model.missing)
    if not categories and not sets.sets and missing is None:
        return None
    return RowEncoding(
        sets.n_columns,
        input_dtype="float32",
        missing=missing,
        refuses_unknown=True,
        categories=categories,
        sets=sets.sets,
    )


def _categories(learner: dict[str, Any], X: Any) -> tuple[CategoryColumn, ...]:
    """Columns of categories, with the values that XGBoost 3.1 and later records, or those of ``X``."""
    booster = learner["gradient_booster"]
    recorded = booster.get("gbtree", booster).get("model", {}).get("cats", {}).get("enc", [])
    of_rows = {j: category_values(X, j) for j in category_columns(X)}
    if any(_n_recorded(one) for one in recorded):
        return tuple(
            CategoryColumn(j, _recorded_values(one, of_rows.get(j)))
            for j, one in enumerate(recorded)
            if _n_recorded(one)
        )
    types = learner.get("feature_types", [])
    return tuple(CategoryColumn(j, of_rows.get(j)) for j, kind in enumerate(types) if kind == "c")


def _n_recorded(recorded: dict[str, Any]) -> int:
    return len(recorded.get("values", []))


def _recorded_values(recorded: dict[str, Any], of_rows: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    """Categories in the order of their codes; None if they cannot be read.

    XGBoost 3.2 cuts the bytes of all strings by their lengths in characters: of others than ASCII it
    records pieces. These are recognized among the categories of rows as the model was trained on.
    """
    if "offsets" not in recorded:
        return tuple(recorded["values"])
    text, offsets = bytes(value % 256 for value in recorded["values"]), recorded["offsets"]
    if of_rows is not None and all(isinstance(value, str) for value in of_rows):
        by_character = [0, *itertools.accumulate(len(value) for value in of_rows)]
        if offsets == by_character and "".join(of_rows).encode()[: offsets[-1]] == text:
            return of_rows
    try:
        return tuple(text[start:end].decode() for start, end in itertools.pairwise(offsets))
    except UnicodeDecodeError:
        return None


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


def _trees(
    booster: dict[str, Any], parameters: dict[str, str], n_rounds: int | None, sets: SetFeatures
) -> list[SourceTree]:
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
    return [_tree(model["trees"][i], model["tree_info"][i], weights[i], sets) for i in range(used)]


def _tree(tree: dict[str, Any], column: int, weight: float, sets: SetFeatures) -> SourceTree:
    if int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise UnsupportedModelError(
            "multi_strategy='multi_output_tree' is not supported: train with multi_strategy='one_output_per_tree'."
        )
    left = np.array(tree["left_children"], dtype=np.int64)
    # Thresholds of inner nodes, values of leaves: float32 printed in decimal.
    condition = np.array(tree["split_conditions"], dtype=np.float32).astype(np.float64)
    feature, threshold = np.array(tree["split_indices"], dtype=np.int64), condition.copy()
    starts, sizes = tree.get("categories_segments", ()), tree.get("categories_sizes", ())
    for node, start, size in zip(tree.get("categories_nodes", ()), starts, sizes, strict=True):
        # Members of the set go right, all others (negative codes and codes that training did not see) left.
        codes, missing = tree["categories"][start : start + size], not tree["default_left"][node]
        feature[node] = sets.feature(feature[node], codes, with_missing=missing)
        threshold[node] = 0.5
    return SourceTree(
        feature=feature,
        threshold=threshold,
        left=left,
        right=np.array(tree["right_children"], dtype=np.int64),
        missing_right=~np.array(tree["default_left"], dtype=bool),
        value=condition[:, None] * weight,
        column=int(column),
        cover=np.array(tree["sum_hessian"], dtype=np.float32).astype(np.float64),
    )
