"""Meta-estimators around any supported tree model."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from ..backends import Backend
from ..ensembles import as_estimator
from ..ensembles.links import ClassificationLink
from ..quantizers import FeatureQuantizer
from ..utils import get_tags
from ._mixins import FHEClassifierMixin, FHERegressorMixin
from ._taking_over import TakesOverModels
from ._unwrapping import final_model, refuse_meta_estimators

#: Depth of the tree that is trained when no estimator is given: depth costs under encryption.
_DEFAULT_MAX_DEPTH = 5


def _unfitted(estimator: Any) -> Any:
    """A clone; of CatBoost's models, which copy the lists and dicts that they are given, what `clone` would refuse."""
    if type(estimator).__module__.partition(".")[0] == "catboost":
        return type(estimator)(**estimator.get_params())
    return clone(estimator)


class _WrappingEstimator(MetaEstimatorMixin, TakesOverModels):
    """Parameters and training of both meta-estimators."""

    def __init__(
        self,
        estimator: Any = None,
        *,
        quantizer: str | FeatureQuantizer = "threshold",
        backend: str | Backend = "auto",
        device: str = "cpu",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.estimator = estimator
        self.quantizer = quantizer
        self.backend = backend
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @classmethod
    def from_fitted(
        cls, fitted_model: Any, X: Any = None, *, missing: float | None = None, **params: Any
    ) -> _WrappingEstimator:
        """Take over a model that is already trained.

        Parameters
        ----------
        fitted_model : estimator or Booster
            A fitted tree model of scikit-learn, XGBoost, LightGBM or CatBoost, a booster of XGBoost or LightGBM such as
            ``xgboost.Booster(model_file=...)``, or a fitted pipeline or search that ends in such a model: the earlier
            steps become `preprocessing_`, which runs on the client, in the clear. It is kept, not copied.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows like those of the training set: gives feature names to a model that has none
            (a DataFrame) and is checked against the model. Of a pipeline, rows as it takes them.
        missing : float, default=None
            Of a booster of XGBoost, the value that stands for missing ones besides NaN, as its ``DMatrix(missing=...)``
            had it in training: a booster does not know it, and without it such values are compared as numbers.
        **params
            Parameters of the constructor other than `estimator`.

        Returns
        -------
        estimator : FHEClassifier or FHERegressor
            Fitted: ready to `compile`.

        Raises
        ------
        UnsupportedModelError
            If the model cannot be represented exactly; the message names a way out.
        ValueError
            If it is no classifier or regressor, `X` does not have its columns, or ``missing`` is given for a model
            that knows it.
        """
        model, preprocessing = final_model(fitted_model)
        self = cls(as_estimator(model, missing), **params)
        self._take_over(self.estimator, preprocessing, X)
        return self

    def _make_estimator(self) -> Any:
        estimator = self._default_estimator() if self.estimator is None else _unfitted(self.estimator)
        if isinstance(estimator, Pipeline):
            raise ValueError(
                f"estimator is a pipeline: put {type(self).__name__} into the pipeline as its last step, or train the "
                f"pipeline and pass it to {type(self).__name__}.from_fitted."
            )
        refuse_meta_estimators(estimator)
        if self.random_state is not None and "random_state" in estimator.get_params():
            estimator.set_params(random_state=self.random_state)
        return estimator

    def _source_tags(self) -> Any:
        # Not of a clone: models of CatBoost that hold objects cannot be cloned, and are imported all the same.
        return get_tags(self._default_estimator() if self.estimator is None else self.estimator)

    def _default_estimator(self) -> BaseEstimator:
        raise NotImplementedError


class FHEClassifier(FHEClassifierMixin, _WrappingEstimator):
    """Encrypted predictions of any supported tree classifier.

    Parameters
    ----------
    estimator : classifier, default=None
        A tree classifier of scikit-learn, XGBoost, LightGBM or CatBoost; cloned by `fit`. None stands for
        ``DecisionTreeClassifier(max_depth=5)``. Its parameters are reached as ``estimator__*``.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Given to `estimator` for training unless None. Never reaches keys or noise.
    n_jobs : int, default=None
        Processes of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from fhe_estimators.estimators import FHEClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(n_estimators=5, max_depth=3, random_state=0)
    >>> clf = FHEClassifier(forest, backend="clear").fit(X, y).compile()
    >>> clf.predict(X[:3], fhe="execute")
    array([0, 0, 0])
    """

    def _default_estimator(self) -> BaseEstimator:
        return DecisionTreeClassifier(max_depth=_DEFAULT_MAX_DEPTH)

    def _take_over_names(self, fitted_model: Any, X: Any) -> None:
        n_classes = cast(ClassificationLink, self.ensemble_.link).n_classes(self.ensemble_.n_scores)
        self.classes_ = getattr(fitted_model, "classes_", np.arange(n_classes))
        super()._take_over_names(fitted_model, X)


class FHERegressor(FHERegressorMixin, _WrappingEstimator):
    """Encrypted predictions of any supported tree regressor.

    Parameters
    ----------
    estimator : regressor, default=None
        A tree regressor of scikit-learn, XGBoost, LightGBM or CatBoost; cloned by `fit`. None stands for
        ``DecisionTreeRegressor(max_depth=5)``. Its parameters are reached as ``estimator__*``.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Given to `estimator` for training unless None. Never reaches keys or noise.
    n_jobs : int, default=None
        Processes of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators.estimators import FHERegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = FHERegressor(backend="clear", random_state=0).fit(X, y).compile()
    >>> bool((reg.predict(X, fhe="execute") == reg.predict(X)).all())
    True
    """

    def _default_estimator(self) -> BaseEstimator:
        return DecisionTreeRegressor(max_depth=_DEFAULT_MAX_DEPTH)
