"""Importer of scikit-learn's trees, forests, gradient boosting and isolation forests."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
)
from sklearn.ensemble._forest import BaseForest, ForestClassifier
from sklearn.tree import BaseDecisionTree

from ..exceptions import UnsupportedModelError
from ..utils import get_tags
from ._assembly import SourceTree, assemble
from ._categories_of_sklearn import CategoricalColumns
from ._ensemble import TreeEnsemble
from .links import (
    AverageLink,
    AverageProbabilityLink,
    AverageRemainderLink,
    ExpLink,
    IdentityLink,
    IsolationLink,
    Link,
    SigmoidLink,
    SoftmaxLink,
)

EULER_GAMMA = float(np.euler_gamma)


def import_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Import a fitted model of scikit-learn (or of a subclass of one); it knows all that there is to know of ``X``."""
    return _import(model)


@singledispatch
def _import(model: Any) -> TreeEnsemble:
    if isinstance(model, (AdaBoostClassifier, BaggingClassifier, BaggingRegressor)):
        return importlib.import_module("._from_sklearn_meta", __package__).import_meta(model)
    raise UnsupportedModelError(
        f"{type(model).__name__} is not a tree ensemble that can be imported: use a DecisionTree, RandomForest, "
        "ExtraTrees, GradientBoosting, HistGradientBoosting or IsolationForest model."
    )


@_import.register
def _(model: BaseDecisionTree) -> TreeEnsemble:
    return _averaged([model], model, is_classifier=hasattr(model, "classes_"))


@_import.register
def _(model: BaseForest) -> TreeEnsemble:
    if not hasattr(model, "n_outputs_") or (not isinstance(model, ForestClassifier) and not hasattr(model, "predict")):
        raise UnsupportedModelError(f"{type(model).__name__} does not predict.")
    return _averaged(list(model.estimators_), model, is_classifier=isinstance(model, ForestClassifier))


def _averaged(estimators: list[Any], model: Any, *, is_classifier: bool) -> TreeEnsemble:
    """A tree or a forest: the average of its trees' class probabilities or values."""
    if is_classifier:
        counts = tuple(int(n) for n in np.atleast_1d(model.n_classes_))
        # One column does for two classes; ties of more are kept only if every class has one.
        first = 1 if max(counts) <= 2 else 0
        trees = [_tree(e.tree_, _class_probabilities(e.tree_.value, counts, first)) for e in estimators]
        averaging = AverageRemainderLink if first else AverageProbabilityLink
        link: Link = averaging(n_trees=len(trees), class_counts=counts)
    else:
        trees = [_tree(e.tree_, e.tree_.value[:, :, 0]) for e in estimators]
        link = AverageLink(n_trees=len(trees))
    return _ensemble(model, trees, np.zeros(trees[0].value.shape[1]), link)


def _class_probabilities(value: np.ndarray, counts: tuple[int, ...], first: int) -> np.ndarray:
    """Probabilities of the classes from ``first`` on of each output, shape (n_nodes, n_columns).

    A column of zeros stands for no classes at all.
    """
    proba = value / value.sum(axis=2, keepdims=True)
    found = np.concatenate([proba[:, output, first:n] for output, n in enumerate(counts)], axis=1)
    return found if found.shape[1] else np.zeros((len(value), 1))


@_import.register(GradientBoostingClassifier)
@_import.register(GradientBoostingRegressor)
def _(model: Any) -> TreeEnsemble:
    if not (isinstance(model.init_, (DummyClassifier, DummyRegressor)) or model.init_ == "zero"):
        raise UnsupportedModelError(
            f"{type(model).__name__} with init={model.init!r} starts from another model's predictions: "
            "train with init=None or init='zero'."
        )
    prior = model._raw_predict_init(np.zeros((1, model.n_features_in_))).astype(np.float64)[0]
    trees = [
        _tree(e.tree_, model.learning_rate * e.tree_.value[:, :, 0], column=column)
        for stage in model.estimators_
        for column, e in enumerate(stage)
    ]
    if isinstance(model, GradientBoostingRegressor):
        link: Link = IdentityLink()
    elif len(prior) > 1:
        link = SoftmaxLink()
    else:
        link = SigmoidLink(positive_on_tie=True, divisor=0.5 if model.loss == "exponential" else 1.0)
    return _ensemble(model, trees, prior, link)


@_import.register
def _(model: IsolationForest) -> TreeEnsemble:
    trees = []
    for estimator, features in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = estimator.tree_
        path_length = _node_depths(tree) + _average_path_length(tree.n_node_samples)
        trees.append(_tree(tree, path_length[:, None], features=features))
    divisor = len(trees) * float(_average_path_length(np.array([model.max_samples_]))[0])
    # From one sample there is nothing to isolate: scikit-learn scores every row 2 ** -1.
    prior = np.zeros(1) if divisor else np.ones(1)
    link = IsolationLink(divisor=divisor or 1.0, offset=float(model.offset_))
    return _ensemble(model, trees, prior, link)


def _node_depths(tree: Any) -> np.ndarray:
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(tree.children_left >= 0):  # parents come before their children
        depth[[tree.children_left[node], tree.children_right[node]]] = depth[node] + 1
    return depth


def _average_path_length(n_samples: np.ndarray) -> np.ndarray:
    """Average path length of an unsuccessful search in a binary search tree of ``n_samples``.

    Equation 1 of Liu, Ting and Zhou, "Isolation Forest", ICDM 2008, with the harmonic number as
    scikit-learn approximates it.
    """
    n = np.maximum(n_samples, 2).astype(np.float64)
    average = 2.0 * (np.log(n - 1.0) + EULER_GAMMA) - 2.0 * (n - 1.0) / n
    return np.select([n_samples <= 1, n_samples == 2], [0.0, 1.0], average)


@_import.register(HistGradientBoostingClassifier)
@_import.register(HistGradientBoostingRegressor)
def _(model: Any) -> TreeEnsemble:
    columns = CategoricalColumns(model)
    trees = [
        _histogram_tree(predictor, column, columns)
        for stage in model._predictors
        for column, predictor in enumerate(stage)
    ]
    prior = np.asarray(model._baseline_prediction, dtype=np.float64).reshape(-1)
    ensemble = _ensemble(model, trees, prior, _histogram_link(model, len(prior)), "float64", columns.sets.sets)
    return replace(ensemble, encoding=columns.encoding())


def _histogram_link(model: Any, n_scores: int) -> Link:
    if isinstance(model, HistGradientBoostingClassifier):
        return SigmoidLink() if n_scores == 1 else SoftmaxLink()
    return ExpLink() if model.loss in ("poisson", "gamma") else IdentityLink()


def _histogram_tree(predictor: Any, column: int, columns: CategoricalColumns) -> SourceTree:
    nodes = predictor.nodes
    leaf, of_set = nodes["is_leaf"].astype(bool), nodes["is_categorical"].astype(bool) & ~nodes["is_leaf"].astype(bool)
    feature, threshold = columns.order[nodes["feature_idx"]], nodes["num_threshold"].copy()
    for node in np.flatnonzero(of_set):
        feature[node], threshold[node] = columns.feature(predictor, nodes[node]), 0.5
    left, right = nodes["left"].astype(np.int64), nodes["right"].astype(np.int64)
    return SourceTree(
        feature=feature,
        threshold=threshold,
        # Members of a set of categories go left in scikit-learn, and right here: the feature of the set is 1.
        left=np.where(leaf, -1, np.where(of_set, right, left)),
        right=np.where(leaf, -1, np.where(of_set, left, right)),
        missing_right=~nodes["missing_go_to_left"].astype(bool) & ~of_set,
        value=nodes["value"][:, None],
        column=column,
        cover=nodes["count"],
    )


def _tree(tree: Any, value: np.ndarray, column: int = 0, features: np.ndarray | None = None) -> SourceTree:
    """A ``sklearn.tree._tree.Tree``; ``features`` are the columns it was trained on, if not all."""
    leaf = tree.children_left < 0
    feature = np.where(leaf, 0, tree.feature)
    return SourceTree(
        feature=feature if features is None else np.asarray(features)[feature],
        threshold=tree.threshold,
        left=np.where(leaf, -1, tree.children_left),
        right=np.where(leaf, -1, tree.children_right),
        missing_right=~tree.missing_go_to_left.astype(bool),
        value=value,
        column=column,
        cover=tree.weighted_n_node_samples,
    )


def _ensemble(
    model: Any,
    trees: list[SourceTree],
    prior: np.ndarray,
    link: Link,
    input_dtype: str = "float32",
    sets: tuple[Any, ...] = (),
) -> TreeEnsemble:
    return assemble(
        trees,
        n_features=model.n_features_in_ + len(sets),
        n_scores=len(prior),
        base_score=prior,
        link=link,
        input_dtype=input_dtype,
        allow_nan=_accepts_missing_values(model),
    )


def _accepts_missing_values(model: Any) -> bool:
    """Whether a model predicts rows with NaN.

    Before scikit-learn 1.9 trees with monotonic constraints refuse them, though their tags say otherwise.
    """
    tree = model.estimators_[0] if isinstance(model, BaseForest) else model
    supported = tree._support_missing_values(np.empty((0, 0))) if isinstance(tree, BaseDecisionTree) else True
    return supported and get_tags(model).input_tags.allow_nan
