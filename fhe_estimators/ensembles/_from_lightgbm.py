"""Importer of LightGBM models, from ``Booster.dump_model``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._boosters import lightgbm_dump
from ._categories import CategoryColumn, SetFeatures
from ._columns import category_columns
from ._encoding import RowEncoding
from ._ensemble import LEAF, TreeEnsemble
from .links import ExpitLink, ExpLink, IdentityLink, Link, OneVersusRestLink, SigmoidLink, SoftmaxLink
from .links._registry import link_of_kind

_OBJECTIVES: dict[str, type[Link]] = {
    "binary": SigmoidLink,
    "multiclass": SoftmaxLink,
    "multiclassova": OneVersusRestLink,
    "regression": IdentityLink,
    "regression_l1": IdentityLink,
    "huber": IdentityLink,
    "fair": IdentityLink,
    "quantile": IdentityLink,
    "mape": IdentityLink,
    "poisson": ExpLink,
    "gamma": ExpLink,
    "tweedie": ExpLink,
    "cross_entropy": ExpitLink,
    "lambdarank": IdentityLink,
    "rank_xendcg": IdentityLink,
    "custom": IdentityLink,
    "none": IdentityLink,
}

#: Rows' values up to this size are read as 0 ...
_ZERO = float(np.float32(1e-35))
#: ... and infinite thresholds are dumped as this.
_INFINITY = 1e300


def import_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Import a fitted ``LGBMClassifier``, ``LGBMRegressor`` or ``LGBMRanker``; ``X`` are rows as it was trained on."""
    if not hasattr(model, "booster_"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a scikit-learn-style LightGBM model: use LGBMClassifier or LGBMRegressor."
        )
    dump = lightgbm_dump(model.booster_)
    n_scores, n_columns = int(dump["num_tree_per_iteration"]), int(dump["max_feature_idx"]) + 1
    sets = SetFeatures(n_columns)
    trees = [_tree(info["tree_structure"], i % n_scores, sets) for i, info in enumerate(dump["tree_info"])]
    link = _link(dump.get("objective") or "none", is_classifier(model))  # a function has no name
    if dump.get("average_output"):
        n_rounds = len(trees) // n_scores
        if isinstance(link, (SigmoidLink, SoftmaxLink, OneVersusRestLink)):
            link = replace(link, divisor=link.divisor * n_rounds)  # margins stay sums, as decision_function has them
        else:
            trees = [replace(tree, value=tree.value / n_rounds) for tree in trees]
    return assemble(
        trees,
        n_features=n_columns + len(sets.sets),
        n_scores=n_scores,
        base_score=np.zeros(n_scores),
        link=link,
        input_dtype="float64",
        allow_nan=True,
        encoding=RowEncoding(
            n_columns,
            integer_dtype="float32",  # as LightGBM reads arrays of integers
            signed_fractions=True,
            categories=_categories(model.booster_, X),
            sets=sets.sets,
        ),
    )


def _categories(booster: Any, X: Any) -> tuple[CategoryColumn, ...]:
    """Columns of pandas categories: LightGBM keeps their values in order, but not which columns they are."""
    values = getattr(booster, "pandas_categorical", None) or []
    if not values:
        return ()
    columns = category_columns(X)
    if not columns:
        info = booster.model_to_string(num_iteration=1).partition("feature_infos=")[2].partition("\n")[0].split()
        columns = [j for j, of_feature in enumerate(info) if of_feature != "none" and not of_feature.startswith("[")]
    if len(columns) != len(values):
        raise UnsupportedModelError(
            f"The LightGBM model was trained on {len(values)} columns of pandas categories, and does not say which "
            "ones: pass rows of the training set (a DataFrame with the same dtypes) as X= to from_fitted."
        )
    return tuple(CategoryColumn(j, tuple(of_column)) for j, of_column in zip(columns, values, strict=True))


def _link(objective: str, of_classifier: bool) -> Link:
    """Link of an objective as LightGBM prints it: ``"binary sigmoid:1"``, ``"regression sqrt"``, ..."""
    name, *settings = objective.split()
    if name not in _OBJECTIVES or "sqrt" in settings:
        raise UnsupportedModelError(f"objective={objective!r} is not supported: use one of {sorted(_OBJECTIVES)}.")
    sigmoid = next((float(s.partition(":")[2]) for s in settings if s.startswith("sigmoid:")), 1.0)
    link = link_of_kind(_OBJECTIVES[name], of_classifier=of_classifier)
    if link is ExpitLink and sigmoid != 1.0:
        raise UnsupportedModelError(f"sigmoid={sigmoid:g} of a regressor is not supported: use LGBMClassifier.")
    return link(divisor=1.0 / sigmoid) if issubclass(link, (SigmoidLink, OneVersusRestLink)) else link()


def _tree(structure: dict[str, Any], column: int, sets: SetFeatures) -> SourceTree:
    nodes = _nodes_by_parent(structure)
    index = {id(node): i for i, node in enumerate(nodes)}
    leaf = np.array(["leaf_value" in node for node in nodes])

    def child(name: str, of_set: str) -> np.ndarray:
        # Members of a set of categories go left in LightGBM, and right here: the feature of the set is 1.
        names = [of_set if node.get("decision_type") == "==" else name for node in nodes]
        return np.array(
            [LEAF if "leaf_value" in node else index[id(node[n])] for node, n in zip(nodes, names, strict=True)]
        )

    tests = [_test(node, sets) for node in nodes]
    return SourceTree(
        feature=np.array([feature for feature, _ in tests]),
        threshold=_thresholds(np.array([threshold for _, threshold in tests], dtype=np.float64)),
        left=child("left_child", of_set="right_child"),
        right=child("right_child", of_set="left_child"),
        missing_right=np.array(
            [not is_leaf and _missing_goes_right(n) for n, is_leaf in zip(nodes, leaf, strict=True)]
        ),
        value=np.array([[node.get("leaf_value", 0.0)] for node in nodes], dtype=np.float64),
        column=column,
        # A tree of one leaf has no count in some versions, and needs none.
        cover=np.array([node.get("leaf_count", node.get("internal_count", 0)) for node in nodes], dtype=np.float64),
    )


def _test(node: dict[str, Any], sets: SetFeatures) -> tuple[int, float]:
    """Feature and threshold of a node; what is in no set, missing and negative codes included, goes the other way."""
    if node.get("decision_type") != "==":
        return node.get("split_feature", 0), node.get("threshold", 0.0)
    codes = [int(code) for code in str(node["threshold"]).split("||")]
    return sets.feature(node["split_feature"], codes, with_missing=False), 0.5


def _thresholds(dumped: np.ndarray) -> np.ndarray:
    """Thresholds ``t`` for which ``x <= t`` holds exactly where LightGBM finds that it does."""
    threshold = np.where(np.abs(dumped) >= _INFINITY, np.copysign(np.inf, dumped), dumped)
    threshold[(threshold >= 0) & (threshold <= _ZERO)] = _ZERO
    threshold[(threshold < 0) & (threshold >= -_ZERO)] = np.nextafter(-_ZERO, -np.inf)
    return threshold


def _nodes_by_parent(structure: dict[str, Any]) -> list[dict[str, Any]]:
    """All nodes, parents first; iterative because trees may be deeper than Python's stack."""
    nodes, pending = [], [structure]
    while pending:
        node = pending.pop()
        nodes.append(node)
        if "leaf_value" not in node:
            _check_split(node)
            pending += [node["right_child"], node["left_child"]]
        elif "leaf_coeff" in node:
            raise UnsupportedModelError("Linear trees are not supported: train with linear_tree=False.")
    return nodes


def _check_split(node: dict[str, Any]) -> None:
    if node["decision_type"] not in ("<=", "=="):
        raise UnsupportedModelError(f"The LightGBM model has splits of an unknown type, {node['decision_type']!r}.")
    if node["missing_type"] == "Zero" and node["decision_type"] == "<=":
        raise UnsupportedModelError("zero_as_missing=True is not supported: use NaN for missing values.")


def _missing_goes_right(node: dict[str, Any]) -> bool:
    if node["decision_type"] == "==":
        return False
    if node["missing_type"] == "NaN":
        return not node["default_left"]
    return not node["threshold"] >= 0.0  # without a direction LightGBM reads NaN as 0
