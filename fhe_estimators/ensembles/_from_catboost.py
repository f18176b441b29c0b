"""Importer of CatBoost models, from the JSON that its ``save_model`` writes."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._boosters import BoosterEstimator
from ._ensemble import LEAF, TreeEnsemble
from .links import ExpLink, IdentityLink, Link, OneVersusRestLink, SigmoidLink, SoftmaxLink

#: Loss functions of classifiers, with what makes probabilities of scores.
_CLASSIFICATION: dict[str, type[Link]] = {
    "Logloss": SigmoidLink,
    "CrossEntropy": SigmoidLink,
    "Focal": SigmoidLink,
    "MultiClass": SoftmaxLink,
    "MultiClassOneVsAll": OneVersusRestLink,
}
#: Loss functions whose regressors predict exponentials of scores.
_LOGARITHMIC = ("Poisson", "Tweedie")
#: What the JSON calls a loss function that was written in Python.
_CUSTOM = "PythonUserDefined"

#: Kinds of columns that are no numbers: who lists them, and what a model could be trained on instead.
_OTHER_COLUMNS = {
    "categorical": (
        "get_cat_feature_indices",
        "encode them before (OneHotEncoder or TargetEncoder in a pipeline) and train without cat_features, or train "
        "XGBoost, LightGBM or scikit-learn's histogram gradient boosting, whose splits on categories are imported",
    ),
    "text": ("get_text_feature_indices", "make them numbers before (TfidfVectorizer in a pipeline)"),
    "embedding": ("get_embedding_feature_indices", "give each component a column of its own"),
}


def import_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Import a fitted ``CatBoostClassifier``, ``CatBoostRegressor``, ``CatBoostRanker`` or ``CatBoost``."""
    model = model.booster if isinstance(model, BoosterEstimator) else model
    if not hasattr(model, "save_model"):
        raise UnsupportedModelError(f"{type(model).__name__} is no model of CatBoost: use CatBoostClassifier.")
    _check_columns(model)
    exported = _exported(model)
    scale, bias = exported["scale_and_bias"]
    bias = np.array(bias, dtype=np.float64, ndmin=1)
    columns = exported["features_info"].get("float_features") or []
    if "oblivious_trees" in exported:
        trees = [_symmetric_tree(tree, columns, len(bias), scale) for tree in exported["oblivious_trees"]]
    else:
        trees = [_tree(tree, columns, scale) for tree in exported.get("trees") or []]
    return assemble(
        trees,
        n_features=len(columns),
        n_scores=len(bias),
        base_score=bias,
        link=_link(model, _loss(exported["model_info"]), len(bias)),
        strict=True,
        input_dtype="float32",
        allow_nan=True,
    )


def _check_columns(model: Any) -> None:
    for kind, (getter, way_out) in _OTHER_COLUMNS.items():
        if positions := list(getattr(model, getter)()):
            names = [model.feature_names_[position] for position in positions]
            raise UnsupportedModelError(
                f"The CatBoost model was trained on {kind} columns, {names}, whose values it computes from statistics "
                f"of the training set: {way_out}."
            )


def _exported(model: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.json")
        model.save_model(str(path), format="json")
        return json.loads(path.read_text())


def _loss(info: dict[str, Any]) -> str:
    """Name of the loss function; that of a sum of models is unknown."""
    return info["params"]["loss_function"]["type"] if "params" in info else _CUSTOM


def _link(model: Any, loss: str, n_scores: int) -> Link:
    classes = {cls.__name__ for cls in type(model).__mro__}
    if "CatBoostClassifier" in classes:
        threshold = model.get_metadata().get("binclass_probability_threshold")
        if threshold is not None and float(threshold) != 0.5:
            raise UnsupportedModelError(
                f"The CatBoost model has a probability threshold of {threshold}: discard it with "
                "set_probability_threshold(None) and compare predict_proba with it on the client."
            )
        if loss.startswith(_CUSTOM):
            return SigmoidLink() if n_scores == 1 else SoftmaxLink()
        if loss not in _CLASSIFICATION:
            raise UnsupportedModelError(
                f"loss_function={loss!r} is not supported: use one of {sorted(_CLASSIFICATION)} (one model a label, "
                "where there are several)."
            )
        return _CLASSIFICATION[loss]()
    if "CatBoostRegressor" in classes:
        if loss == "RMSEWithUncertainty":
            raise UnsupportedModelError(
                "loss_function='RMSEWithUncertainty' is not supported: its second score is the logarithm of a "
                "variance. Train with 'RMSE', or with 'MultiQuantile' for intervals."
            )
        if loss in _LOGARITHMIC:
            return ExpLink()
    return IdentityLink()  # the predict of all others returns scores as they are


def _tests(splits: list[dict[str, Any]], columns: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Column, threshold and direction of missing values (right if true) of splits.

    CatBoost goes right where a float32 value is larger than the border. That is where it is not smaller than the next
    number after the border.
    """
    if unknown := {split["split_type"] for split in splits} - {"FloatFeature"}:
        raise UnsupportedModelError(f"The CatBoost model has splits of an unknown type, {sorted(unknown)}.")
    tested = [columns[split["float_feature_index"]] for split in splits]
    borders = np.array([split["border"] for split in splits], dtype=np.float32)
    with np.errstate(over="ignore"):  # after the largest number comes infinity, as it should
        thresholds = np.nextafter(borders, np.float32(np.inf)).astype(np.float64)
    # "AsIs" compares NaN, which is larger than nothing.
    missing_right = np.array([column["nan_value_treatment"] == "AsTrue" for column in tested], dtype=bool)
    return np.array([column["flat_feature_index"] for column in tested], dtype=np.int64), thresholds, missing_right


def _symmetric_tree(tree: dict[str, Any], columns: list[dict[str, Any]], n_scores: int, scale: float) -> SourceTree:
    """A tree that has one split for all nodes of a level.

    The leaf of a sample is a number whose bit ``i`` tells whether the sample goes right at split ``i``. Nodes are
    numbered level by level; node ``j`` of level ``i`` is that of the samples whose first ``i`` bits are ``j``.
    """
    feature, threshold, missing_right = _tests(tree.get("splits") or [], columns)
    depth, n_leaves = len(feature), 1 << len(feature)
    level = np.repeat(np.arange(depth), 1 << np.arange(depth))
    inner = np.arange(n_leaves - 1)
    within = inner + 1 - (1 << level)  # position in its level
    left = within + (1 << (level + 1)) - 1
    leaves = np.full(n_leaves, LEAF)
    values = np.asarray(tree["leaf_values"], dtype=np.float64).reshape(n_leaves, n_scores) * scale
    weights = tree.get("leaf_weights") or None
    cover = None
    if weights is not None:
        cover = np.zeros(2 * n_leaves - 1)
        cover[n_leaves - 1 :] = weights
        for node in inner[::-1]:
            cover[node] = cover[left[node]] + cover[left[node] + (1 << level[node])]
    return SourceTree(
        feature=np.concatenate([feature[level], leaves]),
        threshold=np.concatenate([threshold[level], np.zeros(n_leaves)]),
        left=np.concatenate([left, leaves]),
        right=np.concatenate([left + (1 << level), leaves]),
        missing_right=np.concatenate([missing_right[level], np.zeros(n_leaves, dtype=bool)]),
        value=np.concatenate([np.zeros((n_leaves - 1, n_scores)), values]),
        cover=cover,
    )


def _tree(root: dict[str, Any], columns: list[dict[str, Any]], scale: float) -> SourceTree:
    """A tree of nested nodes (``grow_policy`` Depthwise or Lossguide)."""
    nodes: list[dict[str, Any]] = []
    left, right, pending = [], [], [(root, LEAF, False)]
    while pending:  # iterative because trees may be deeper than Python's stack
        node, parent, is_right = pending.pop()
        index = len(nodes)
        nodes.append(node)
        left.append(LEAF)
        right.append(LEAF)
        if parent != LEAF:
            (right if is_right else left)[parent] = index
        if "split" in node:
            pending += [(node["right"], index, True), (node["left"], index, False)]
    leaf = np.array(["split" not in node for node in nodes])
    inner = ~leaf
    feature, threshold = np.full(len(nodes), LEAF, dtype=np.int64), np.zeros(len(nodes))
    missing_right = np.zeros(len(nodes), dtype=bool)
    feature[inner], threshold[inner], missing_right[inner] = _tests(
        [n["split"] for n in nodes if "split" in n], columns
    )
    values = np.array([np.atleast_1d(node["value"]) for node in nodes if "split" not in node], dtype=np.float64)
    value = np.zeros((len(nodes), values.shape[1]))
    value[leaf] = values * scale
    cover = np.array([node.get("weight", 0.0) for node in nodes], dtype=np.float64)
    for node in np.flatnonzero(inner)[::-1]:  # children follow their parents
        cover[node] = cover[left[node]] + cover[right[node]]
    return SourceTree(
        feature=feature,
        threshold=threshold,
        left=np.array(left, dtype=np.int64),
        right=np.array(right, dtype=np.int64),
        missing_right=missing_right,
        value=value,
        cover=cover,
    )
