"""Encrypted decision trees and forests: classifiers."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from ._mixins import FHEClassifierMixin
from ._source_parameters import SourceParameters


class FHEDecisionTreeClassifier(FHEClassifierMixin, SourceParameters):
    """Decision tree classifier that predicts on encrypted rows.

    Parameters
    ----------
    criterion, splitter : see `DecisionTreeClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `DecisionTreeClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease : see `DecisionTreeClassifier`
        The class of scikit-learn gets these, with its own defaults.
    class_weight, ccp_alpha, monotonic_cst : see `DecisionTreeClassifier`
        The class of scikit-learn gets these, with its own defaults.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Seed of the training. Never reaches keys or noise.
    n_jobs : int, default=None
        Processes of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators.estimators import FHEDecisionTreeClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=3, backend="clear", random_state=0)
    >>> clf = clf.fit(X, y).compile()
    >>> bool((clf.predict(X, fhe="execute") == clf.predict(X)).all())
    True
    """

    _source_class = DecisionTreeClassifier

    def __init__(
        self,
        *,
        criterion: Any = "gini",
        splitter: Any = "best",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = None,
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
        class_weight: Any = None,
        ccp_alpha: Any = 0.0,
        monotonic_cst: Any = None,
        quantizer: Any = "threshold",
        backend: Any = "auto",
        device: Any = "cpu",
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: Any = 0,
    ):
        self._store_parameters(locals())


class FHERandomForestClassifier(FHEClassifierMixin, SourceParameters):
    """Random forest classifier that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of trees. The cost of an encrypted row is proportional to it.
    criterion : see `RandomForestClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `RandomForestClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease : see `RandomForestClassifier`
        The class of scikit-learn gets these, with its own defaults.
    bootstrap : bool, default=True
        Whether each tree is trained on a bootstrap sample.
    class_weight, ccp_alpha, max_samples, monotonic_cst : see `RandomForestClassifier`
        The class of scikit-learn gets these, with its own defaults.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Seed of the training. Never reaches keys or noise.
    n_jobs : int, default=None
        Processes of the training and of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators.estimators import FHERandomForestClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHERandomForestClassifier(max_depth=3, n_estimators=5, backend="clear", random_state=0)
    >>> clf = clf.fit(X, y).compile()
    >>> bool((clf.predict(X, fhe="execute") == clf.predict(X)).all())
    True
    """

    _source_class = RandomForestClassifier

    def __init__(
        self,
        n_estimators: Any = 50,
        *,
        criterion: Any = "gini",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = "sqrt",
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
        bootstrap: Any = True,
        class_weight: Any = None,
        ccp_alpha: Any = 0.0,
        max_samples: Any = None,
        monotonic_cst: Any = None,
        quantizer: Any = "threshold",
        backend: Any = "auto",
        device: Any = "cpu",
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: Any = 0,
    ):
        self._store_parameters(locals())


class FHEExtraTreesClassifier(FHEClassifierMixin, SourceParameters):
    """Extremely randomized trees classifier that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of trees. The cost of an encrypted row is proportional to it.
    criterion : see `ExtraTreesClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `ExtraTreesClassifier`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease : see `ExtraTreesClassifier`
        The class of scikit-learn gets these, with its own defaults.
    bootstrap : bool, default=False
        Whether each tree is trained on a bootstrap sample.
    class_weight, ccp_alpha, max_samples, monotonic_cst : see `ExtraTreesClassifier`
        The class of scikit-learn gets these, with its own defaults.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Seed of the training. Never reaches keys or noise.
    n_jobs : int, default=None
        Processes of the training and of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators.estimators import FHEExtraTreesClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEExtraTreesClassifier(max_depth=3, n_estimators=5, backend="clear", random_state=0)
    >>> clf = clf.fit(X, y).compile()
    >>> bool((clf.predict(X, fhe="execute") == clf.predict(X)).all())
    True
    """

    _source_class = ExtraTreesClassifier

    def __init__(
        self,
        n_estimators: Any = 50,
        *,
        criterion: Any = "gini",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = "sqrt",
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
        bootstrap: Any = False,
        class_weight: Any = None,
        ccp_alpha: Any = 0.0,
        max_samples: Any = None,
        monotonic_cst: Any = None,
        quantizer: Any = "threshold",
        backend: Any = "auto",
        device: Any = "cpu",
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: Any = 0,
    ):
        self._store_parameters(locals())
