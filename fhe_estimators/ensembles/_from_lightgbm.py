"""Importer of LightGBM models, from ``Booster.dump_model``."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._ensemble import LEAF, TreeEnsemble
from .links import ExpitLink, ExpLink, IdentityLink, Link, OneVersusRestLink, SigmoidLink, SoftmaxLink

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
}

#: Rows' values up to this size are read as 0 ...
_ZERO = float(np.float32(1e-35))
#: ... and infinite thresholds are dumped as this.
_INFINITY = 1e300


def import_model(model: Any) -> TreeEnsemble:
    """Import a fitted ``LGBMClassifier`` or ``LGBMRegressor``."""
    if not hasattr(model, "booster_"):
        raise UnsupportedModelError(
            f"{type(model).__name__} is not a scikit-learn-style LightGBM model: use LGBMClassifier or LGBMRegressor."
        )
    if getattr(model.booster_, "pandas_categorical", None):
        raise UnsupportedModelError(
            "The LightGBM model was trained on columns of pandas categories, which it turns into numbers of its own: "
            "encode them as numbers before training (OrdinalEncoder or OneHotEncoder)."
        )
    dump = model.booster_.dump_model()
    n_scores = int(dump["num_tree_per_iteration"])
    trees = [_tree(info["tree_structure"], i % n_scores) for i, info in enumerate(dump["tree_info"])]
    if dump.get("average_output"):
        n_rounds = len(trees) // n_scores
        trees = [SourceTree(**{**vars(tree), "value": tree.value / n_rounds}) for tree in trees]
    return assemble(
        trees,
        n_features=int(dump["max_feature_idx"]) + 1,
        n_scores=n_scores,
        base_score=np.zeros(n_scores),
        link=_link(dump.get("objective", "none")),
        input_dtype="float64",
        allow_nan=True,
    )


def _link(objective: str) -> Link:
    """Link of an objective as LightGBM prints it: ``"binary sigmoid:1"``, ``"regression sqrt"``, ..."""
    name, *settings = objective.split()
    if name not in _OBJECTIVES or "sqrt" in settings:
        raise UnsupportedModelError(f"objective={objective!r} is not supported: use one of {sorted(_OBJECTIVES)}.")
    sigmoid = next((float(s.partition(":")[2]) for s in settings if s.startswith("sigmoid:")), 1.0)
    link = _OBJECTIVES[name]
    return link(divisor=1.0 / sigmoid) if issubclass(link, (SigmoidLink, OneVersusRestLink)) else link()


def _tree(structure: dict[str, Any], column: int) -> SourceTree:
    nodes = _nodes_by_parent(structure)
    index = {id(node): i for i, node in enumerate(nodes)}
    leaf = np.array(["leaf_value" in node for node in nodes])

    def child(name: str) -> np.ndarray:
        return np.array([LEAF if "leaf_value" in node else index[id(node[name])] for node in nodes])

    return SourceTree(
        feature=np.array([node.get("split_feature", 0) for node in nodes]),
        threshold=_thresholds(np.array([node.get("threshold", 0.0) for node in nodes], dtype=np.float64)),
        left=child("left_child"),
        right=child("right_child"),
        missing_right=np.array(
            [not is_leaf and _missing_goes_right(n) for n, is_leaf in zip(nodes, leaf, strict=True)]
        ),
        value=np.array([[node.get("leaf_value", 0.0)] for node in nodes], dtype=np.float64),
        column=column,
        # A tree of one leaf has no count in some versions, and needs none.
        cover=np.array([node.get("leaf_count", node.get("internal_count", 0)) for node in nodes], dtype=np.float64),
    )


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
    if node["decision_type"] != "<=":
        raise UnsupportedModelError(
            "The LightGBM model splits on categories: encode them as numbers before training "
            "(OrdinalEncoder or OneHotEncoder) and leave categorical_feature unset."
        )
    if node["missing_type"] == "Zero":
        raise UnsupportedModelError("zero_as_missing=True is not supported: use NaN for missing values.")


def _missing_goes_right(node: dict[str, Any]) -> bool:
    if node["missing_type"] == "NaN":
        return not node["default_left"]
    return not node["threshold"] >= 0.0  # without a direction LightGBM reads NaN as 0
