"""Encrypted anomaly detection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.ensemble import IsolationForest

from ..ensembles import TreeEnsemble, naming_columns, scores_from_sums
from ..ensembles.links import IsolationLink
from ..utils import validate_data, without_sparse_columns
from ._frames import warn_of_categories
from ._source_parameters import SourceParameters
from ._taking_over import TakesOverModels
from ._unwrapping import final_model
from ._wrong_models import wrong_kind


class FHEIsolationForest(OutlierMixin, SourceParameters, TakesOverModels):
    """Isolation forest that scores encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of trees. The cost of an encrypted row is proportional to it.
    max_samples, contamination, max_features, bootstrap : see `IsolationForest`
        As there, with the same defaults. The depth of the trees, which
        costs under encryption, is the logarithm of `max_samples`.
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

    Attributes
    ----------
    offset_ : float
        ``decision_function = score_samples - offset_``. Where `contamination` is a number, it is that
        quantile of the *quantized* model's scores, so that training rows on the border fall on the
        side they fall on in scikit-learn.

    Examples
    --------
    >>> import numpy as np
    >>> from fhe_estimators.estimators import FHEIsolationForest
    >>> X = np.array([[-1.1], [0.3], [0.5], [100.0]])
    >>> forest = FHEIsolationForest(n_estimators=5, backend="clear", random_state=0).fit(X).compile()
    >>> forest.predict(np.array([[0.1], [0.0], [90.0]]), fhe="execute")
    array([ 1,  1, -1])
    """

    _source_class = IsolationForest

    def __init__(
        self,
        n_estimators: Any = 50,
        *,
        max_samples: Any = "auto",
        contamination: Any = "auto",
        max_features: Any = 1.0,
        bootstrap: Any = False,
        quantizer: Any = "threshold",
        backend: Any = "auto",
        device: Any = "cpu",
        random_state: Any = None,
        n_jobs: Any = None,
        verbose: Any = 0,
    ):
        self._store_parameters(locals())

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> FHEIsolationForest:
        """Train in the clear and quantize; an earlier compilation is discarded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows.
        y : None, default=None
            Ignored; there for scikit-learn's conventions.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None: equal.

        Returns
        -------
        self : estimator
            Fitted; not compiled.
        """
        table = without_sparse_columns(X)
        with naming_columns(table):
            X = validate_data(self, table, **self._training_checks())
        warn_of_categories(self._make_estimator(), table, stacklevel=3)
        self._fit(X, None, sample_weight)
        self.offset_ = self.estimator_.offset_
        if self.contamination != "auto":
            sums = self._sums_in_the_clear(X)
            self.offset_ = np.percentile(self._normality(sums), 100.0 * self.contamination)
            link = replace(cast(IsolationLink, self.ensemble_.link), offset=float(self.offset_))
            self.ensemble_ = replace(self.ensemble_, link=link)
            self._quantize()
        return self

    @classmethod
    def from_fitted(cls, fitted_model: Any, X: Any = None, **params: Any) -> FHEIsolationForest:
        """Take over an isolation forest that is already trained.

        Parameters
        ----------
        fitted_model : IsolationForest
            Fitted, or a fitted pipeline that ends in one: the earlier steps become `preprocessing_`, which runs on the
            client, in the clear. It is kept, not copied, and so is its border between inliers and outliers.
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Rows that are checked against the model; a DataFrame gives names to features that have none.
        **params
            Parameters of the constructor other than those of the forest.

        Returns
        -------
        estimator : FHEIsolationForest
            Fitted: ready to `compile`.
        """
        model, preprocessing = final_model(fitted_model)
        of_forest: dict[str, Any] = {}
        if isinstance(model, IsolationForest):
            own = set(cls._get_param_names())
            of_forest = {name: value for name, value in model.get_params().items() if name in own}
        fixed = sorted(set(params) & set(of_forest) - {"n_jobs", "random_state", "verbose"})
        if fixed:
            raise ValueError(f"{fixed} cannot be set here: they are parameters of the trained forest.")
        self = cls(**{**of_forest, **params})
        self._take_over(model, preprocessing, X)
        self.offset_ = self.estimator_.offset_
        return self

    def score_samples(self, X: Any, fhe: str = "disable") -> np.ndarray:
        """Normality of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Scores from -1 (abnormal) to 0.
        """
        return self.decision_function(X, fhe=fhe) + self.offset_

    def decision_function(self, X: Any, fhe: str = "disable") -> np.ndarray:
        """Normality of rows less `offset_`: the distance from the border.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative for outliers.
        """
        return self._link.decision(self._scores(X, fhe))

    def predict(self, X: Any, fhe: str = "disable") -> np.ndarray:
        """Labels: +1 for inliers, -1 for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            The quantized model in the clear; the engine's arithmetic and noise without encryption;
            or encryption, evaluation on ciphertexts and decryption.

        Returns
        -------
        labels : ndarray of int, shape (n_samples,)
            A row whose score is on the border is an inlier.
        """
        return self._link.predict(self._scores(X, fhe))

    def _normality(self, sums: np.ndarray) -> np.ndarray:
        scores = scores_from_sums(self.quantized_ensemble_, sums)
        return replace(cast(IsolationLink, self._link), offset=0.0).decision(scores)

    def _check_model(self, model: Any, ensemble: TreeEnsemble) -> None:
        if not ensemble.link.is_outlier_detector:
            raise ValueError(wrong_kind(type(self).__name__, "isolation forest", model, ensemble))
