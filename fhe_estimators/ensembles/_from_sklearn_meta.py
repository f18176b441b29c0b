"""Importer of scikit-learn's bagged trees and of AdaBoost's classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.tree import BaseDecisionTree

from ..exceptions import UnsupportedModelError
from ._assembly import SourceTree, assemble
from ._ensemble import TreeEnsemble
from ._from_sklearn import _accepts_missing_values, _tree
from .links import AverageLink, AverageProbabilityLink, AverageRemainderLink, Link, SigmoidLink, SoftmaxLink


def import_meta(model: Any) -> TreeEnsemble:
    """Import a fitted ``BaggingClassifier``, ``BaggingRegressor`` or ``AdaBoostClassifier`` of decision trees."""
    for member in model.estimators_:
        if not isinstance(member, BaseDecisionTree):
            raise UnsupportedModelError(
                f"{type(model).__name__} of {type(member).__name__} models is not supported: train it with decision "
                "trees as estimator=."
            )
    if isinstance(model, AdaBoostClassifier):
        return _boosted(model)
    features = model.estimators_features_
    if not isinstance(model, BaggingClassifier):
        trees = [_tree(e.tree_, e.tree_.value[:, :, 0], features=f) for e, f in _zipped(model.estimators_, features)]
        return _ensemble(model, trees, AverageLink(n_trees=len(trees)))
    first = 1 if model.n_classes_ <= 2 else 0  # as for forests
    trees = [
        _tree(e.tree_, _probabilities(e, e.classes_.astype(np.int64), int(model.n_classes_))[:, first:], features=f)
        for e, f in _zipped(model.estimators_, features)
    ]
    if trees[0].value.shape[1] == 0:
        raise UnsupportedModelError("The training labels hold one class only.")
    averaging = AverageRemainderLink if first else AverageProbabilityLink
    return _ensemble(model, trees, averaging(n_trees=len(trees), class_counts=(int(model.n_classes_),)))


def _boosted(model: Any) -> TreeEnsemble:
    """SAMME: each tree votes for the class of its leaf, with its weight."""
    if getattr(model, "algorithm", "SAMME") == "SAMME.R":
        raise UnsupportedModelError("algorithm='SAMME.R' is not supported: train with algorithm='SAMME'.")
    n_classes = len(model.classes_)
    if n_classes < 2:
        raise UnsupportedModelError("The training labels hold one class only.")
    weights = model.estimator_weights_[: len(model.estimators_)] / model.estimator_weights_.sum()
    trees = []
    for member, weight in _zipped(model.estimators_, weights):
        classes = np.searchsorted(model.classes_, member.classes_)
        votes = classes[member.tree_.value[:, 0, :].argmax(axis=1)]
        if n_classes == 2:
            value = np.where(votes == 1, 2.0 * weight, -2.0 * weight)[:, None]
        else:
            value = np.where(votes[:, None] == np.arange(n_classes), weight, -weight / (n_classes - 1))
        trees.append(_tree(member.tree_, value))
    link: Link = SigmoidLink() if n_classes == 2 else SoftmaxLink(divisor=float(n_classes - 1))
    return _ensemble(model, trees, link)


def _probabilities(tree: Any, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """Class probabilities in the nodes of a tree that may have seen some of the classes only."""
    value = tree.tree_.value[:, 0, :]
    found = np.zeros((len(value), n_classes))
    found[:, classes] = value / value.sum(axis=1, keepdims=True)
    return found


def _zipped(members: Any, others: Any) -> Any:
    return zip(members, others, strict=True)


def _ensemble(model: Any, trees: list[SourceTree], link: Link) -> TreeEnsemble:
    n_scores = trees[0].value.shape[1]
    return assemble(
        trees,
        n_features=model.n_features_in_,
        n_scores=n_scores,
        base_score=np.zeros(n_scores),
        link=link,
        input_dtype="float32",
        allow_nan=all(map(_accepts_missing_values, model.estimators_)) and not isinstance(model, AdaBoostClassifier),
    )
