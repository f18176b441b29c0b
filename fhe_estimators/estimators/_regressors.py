"""Encrypted decision trees and forests: regressors."""

from __future__ import annotations

from typing import Any

from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.tree import DecisionTreeRegressor

from ._mixins import FHERegressorMixin
from ._source_parameters import SourceParameters


class FHEDecisionTreeRegressor(FHERegressorMixin, SourceParameters):
    """Decision tree regressor that predicts on encrypted rows.

    Parameters
    ----------
    criterion, splitter : see `DecisionTreeRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `DecisionTreeRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease, ccp_alpha, monotonic_cst : see `DecisionTreeRegressor`
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
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators.estimators import FHEDecisionTreeRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = FHEDecisionTreeRegressor(max_depth=3, backend="clear", random_state=0)
    >>> reg = reg.fit(X, y).compile()
    >>> bool((reg.predict(X, fhe="execute") == reg.predict(X)).all())
    True
    """

    _source_class = DecisionTreeRegressor

    def __init__(
        self,
        *,
        criterion: Any = "squared_error",
        splitter: Any = "best",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = None,
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
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


class FHERandomForestRegressor(FHERegressorMixin, SourceParameters):
    """Random forest regressor that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of trees. The cost of an encrypted row is proportional to it.
    criterion : see `RandomForestRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `RandomForestRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease : see `RandomForestRegressor`
        The class of scikit-learn gets these, with its own defaults.
    bootstrap : bool, default=True
        Whether each tree is trained on a bootstrap sample.
    ccp_alpha, max_samples, monotonic_cst : see `RandomForestRegressor`
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
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators.estimators import FHERandomForestRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = FHERandomForestRegressor(max_depth=3, n_estimators=5, backend="clear", random_state=0)
    >>> reg = reg.fit(X, y).compile()
    >>> bool((reg.predict(X, fhe="execute") == reg.predict(X)).all())
    True
    """

    _source_class = RandomForestRegressor

    def __init__(
        self,
        n_estimators: Any = 50,
        *,
        criterion: Any = "squared_error",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = 1.0,
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
        bootstrap: Any = True,
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


class FHEExtraTreesRegressor(FHERegressorMixin, SourceParameters):
    """Extremely randomized trees regressor that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of trees. The cost of an encrypted row is proportional to it.
    criterion : see `ExtraTreesRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_depth : int or None, default=5
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption, hence larger keys and ciphertexts, so trees do not grow without limit by default.
    min_samples_split, min_samples_leaf, min_weight_fraction_leaf : see `ExtraTreesRegressor`
        The class of scikit-learn gets these, with its own defaults.
    max_features, max_leaf_nodes, min_impurity_decrease : see `ExtraTreesRegressor`
        The class of scikit-learn gets these, with its own defaults.
    bootstrap : bool, default=False
        Whether each tree is trained on a bootstrap sample.
    ccp_alpha, max_samples, monotonic_cst : see `ExtraTreesRegressor`
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
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators.estimators import FHEExtraTreesRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = FHEExtraTreesRegressor(max_depth=3, n_estimators=5, backend="clear", random_state=0)
    >>> reg = reg.fit(X, y).compile()
    >>> bool((reg.predict(X, fhe="execute") == reg.predict(X)).all())
    True
    """

    _source_class = ExtraTreesRegressor

    def __init__(
        self,
        n_estimators: Any = 50,
        *,
        criterion: Any = "squared_error",
        max_depth: Any = 5,
        min_samples_split: Any = 2,
        min_samples_leaf: Any = 1,
        min_weight_fraction_leaf: Any = 0.0,
        max_features: Any = 1.0,
        max_leaf_nodes: Any = None,
        min_impurity_decrease: Any = 0.0,
        bootstrap: Any = False,
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
