"""Contributions of features to encrypted scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..ensembles import contribution_ensemble
from ..utils import check_fhe_mode
from ._base import BaseFHEEstimator


class FHEContributions(BaseFHEEstimator):
    """The model of a fitted estimator's contributions: its trees, with a score for each feature in place of one.

    `predict_contributions` of classifiers and regressors makes and keeps one. It is of use by itself where client and
    server are apart: it compiles to a program and to archives of its own.

    Parameters
    ----------
    estimator : FHE classifier or regressor
        Fitted.

    Attributes
    ----------
    ensemble_ : TreeEnsemble
        In floats; the quantized one, the engine and the program are attributes as in the estimator.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators import FHEDecisionTreeRegressor
    >>> from fhe_estimators.estimators import FHEContributions
    >>> X, y = load_diabetes(return_X_y=True)
    >>> tree = FHEDecisionTreeRegressor(max_depth=3).fit(X, y)
    >>> contributions = FHEContributions(tree).fit().compile()
    >>> contributions.predict(X[:2], fhe="execute").shape
    (2, 11)
    """

    def __init__(self, estimator: Any):
        self.estimator = estimator

    def fit(self, X: Any = None, y: Any = None) -> FHEContributions:
        """Take over the trees of the estimator; nothing is trained.

        Parameters
        ----------
        X, y : None, default=None
            Ignored.

        Returns
        -------
        self : FHEContributions
            Fitted; not compiled.

        Raises
        ------
        UnsupportedModelError
            If the source model does not tell how many training samples reached its nodes.
        """
        check_is_fitted(self.estimator, "quantized_ensemble_")
        self._discard_program()
        self.ensemble_ = contribution_ensemble(self.estimator.ensemble_)
        self.quantizer_, self.backend_ = self.estimator.quantizer_, self._resolve_backend()
        self._quantize()
        return self

    def predict(self, X: Any, fhe: str = "disable") -> np.ndarray:
        """Contributions of all features, and last what is credited to none.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, with the columns that the estimator was fitted on.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How samples are scored, as in ``predict`` of the estimator.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features + 1) or (n_samples, n_scores, n_features + 1)
            The second one for models of more scores than one.
        """
        flat = self._link.apply(self._scores(X, fhe))
        n_scores = self.estimator.ensemble_.n_scores
        return flat if n_scores == 1 else flat.reshape(len(flat), n_scores, -1)

    def _preprocessed(self, X: Any) -> Any:
        return self.estimator._preprocessed(X)

    def _read(self, X: Any) -> Any:
        return self.estimator._read(X)

    def _row_checks(self) -> dict[str, Any]:
        return self.estimator._row_checks()

    def _make_estimator(self) -> Any:
        return self.estimator._make_estimator()

    def _replaced_by_margins(self) -> None:
        return None  # a margin is no feature's contribution

    def _source_tags(self) -> Any:
        return self.estimator._source_tags()

    def _check_model(self, model: Any, ensemble: Any) -> None:
        """Every model that the estimator accepted."""

    def __getattr__(self, name: str) -> Any:
        # Engine, device and names of features are those of the estimator.
        if name in ("backend", "device", "n_jobs", "verbose", "feature_names_in_", "n_features_in_", "preprocessing_"):
            return getattr(self.estimator, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class ContributionsMixin(BaseFHEEstimator):
    """Estimators that tell what features contribute to their scores.

    Attributes
    ----------
    contributions_ : FHEContributions
        After `predict_contributions` only: the model of contributions, compiled if it was asked for encrypted ones.
    """

    def predict_contributions(self, X: Any, fhe: str = "disable") -> np.ndarray:
        """What each feature contributes to the scores: reasons for a prediction.

        A sample's way through a tree changes the mean of the training samples' values step by step; each change is
        credited to the feature that is compared (XGBoost calls it ``approx_contribs``). Under encryption it is the
        same circuit with more leaf values, compiled on first use.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How samples are scored, as in ``predict``.

        Returns
        -------
        contributions : ndarray of shape (n_samples, n_features + 1) or (n_samples, n_scores, n_features + 1)
            The last column is what is credited to no feature, the same for every sample. The sum is, up to the rounding
            of the leaves, the score: the margin of boosted trees, before a logarithmic or logistic link, and the value
            or probability of averaging models. There is one score for binary classifiers (that of ``classes_[1]``)
            and for regressors, and else one for each class or output.

        Raises
        ------
        NotCompiledError
            If ``fhe`` asks for more than the model in the clear and the estimator is not compiled.
        UnsupportedModelError
            If the source model does not tell how many training samples reached its nodes.

        References
        ----------
        A. Palczewska, J. Palczewski, R. Marchese Robinson and D. Neagu, "Interpreting Random Forest Classification
        Models Using a Feature Contribution Method", 2013, section 3.
        """
        return self._contributions(fhe).predict(X, fhe)

    def _contributions(self, fhe: str) -> FHEContributions:
        """The model of contributions, compiled if ``fhe`` asks for it."""
        check_is_fitted(self, "quantized_ensemble_")
        check_fhe_mode(fhe)
        if fhe != "disable":
            self._require_program(f"fhe={fhe!r}")
        if not hasattr(self, "contributions_"):
            self.contributions_ = FHEContributions(self).fit()
        if fhe != "disable" and not hasattr(self.contributions_, "program_"):
            self.contributions_.compile()
        return self.contributions_

    def _discard_program(self) -> None:
        super()._discard_program()
        self.__dict__.pop("contributions_", None)
