"""Predictions of classifiers and regressors from decrypted scores."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ..ensembles import TreeEnsemble
from ..ensembles.links import AverageProbabilityLink, AverageRemainderLink, ClassificationLink
from ._contributions import ContributionsMixin
from ._wrong_models import wrong_kind

_ONE_CLASS = "The training labels hold one class only: boosted trees need at least two classes."


def _has_one_output(estimator: FHEClassifierMixin) -> bool:
    check_is_fitted(estimator, "classes_")
    return not isinstance(estimator.classes_, list)


class FHEClassifierMixin(ClassifierMixin, ContributionsMixin):
    """Fit and predict of every classifier.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or a list of them for multi-output models
    """

    classes_: np.ndarray | list[np.ndarray]

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> FHEClassifierMixin:
        """Train in the clear and quantize; an earlier compilation is discarded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            NaN is accepted where the source model accepts it. Of a DataFrame, boosted trees split columns of dtype
            ``category`` by sets of categories, as the source library does.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels of any type.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None: equal.
        **fit_params
            Handed to ``fit`` of the source model: ``eval_set``, ``callbacks``, ... Rows and labels of evaluation sets
            are prepared as `X` and `y` are.

        Returns
        -------
        self : estimator
            Fitted; not compiled.
        """
        X, y = self._validate_training_set(X, y, fit_params)
        check_classification_targets(y)
        self._fit(X, y, sample_weight, fit_params)
        self.classes_ = np.unique(y) if y.ndim == 1 else [np.unique(column) for column in y.T]
        return self

    def predict(self, X: Any, fhe: str = "disable", *, base_margin: Any = None) -> np.ndarray:
        """Labels.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            The quantized model in the clear; the engine's arithmetic and noise without encryption;
            or encryption, evaluation on ciphertexts and decryption.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, added on the client: in place of the base score of XGBoost, as its own
            ``base_margin`` is, and to the scores of other boosted trees (LightGBM's ``init_score``).

        Returns
        -------
        labels : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Ties are broken as the source library breaks them.
        """
        return self._link.predict(self._scores(X, fhe, base_margin), self.classes_)

    def predict_proba(self, X: Any, fhe: str = "disable", *, base_margin: Any = None) -> np.ndarray | list[np.ndarray]:
        """Class probabilities, in the order of `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in `predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            A list, one an output, for multi-output models.
        """
        return cast(ClassificationLink, self._link).probabilities(self._scores(X, fhe, base_margin))

    def predict_log_proba(
        self, X: Any, fhe: str = "disable", *, base_margin: Any = None
    ) -> np.ndarray | list[np.ndarray]:
        """Logarithms of class probabilities, in the order of `classes_`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in `predict`.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            An array of the shape of `predict_proba`; minus infinity where a probability is 0.
        """
        probabilities = self.predict_proba(X, fhe=fhe, base_margin=base_margin)
        with np.errstate(divide="ignore"):
            return [np.log(p) for p in probabilities] if isinstance(probabilities, list) else np.log(probabilities)

    @available_if(_has_one_output)
    def decision_function(self, X: Any, fhe: str = "disable", *, base_margin: Any = None) -> np.ndarray:
        """Confidence scores; not available for multi-output models.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, as in `predict`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) if binary, else (n_samples, n_classes)
            Margins of boosted trees. For averaging models the difference of the two class
            probabilities, or the probabilities of more than two classes.
        """
        return self._link.decision(self._scores(X, fhe, base_margin))

    def score(self, X: Any, y: Any, sample_weight: Any = None, fhe: str = "disable") -> float:
        """Accuracy of `predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None: equal.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.

        Returns
        -------
        accuracy : float
            Share of rows whose label is right.
        """
        return accuracy_score(y, self.predict(X, fhe=fhe), sample_weight=sample_weight)

    def _encode_targets(self, model: Any, y: np.ndarray) -> np.ndarray:
        # XGBoost wants labels 0 to n_classes - 1, CatBoost takes no objects and sorts strings of digits as numbers; the
        # other libraries take any label.
        library = type(model).__module__.partition(".")[0]
        if library not in ("xgboost", "catboost") or y.ndim > 1:
            return y
        classes, numbers = np.unique(y, return_inverse=True)
        if library == "catboost" and len(classes) < 2:
            raise ValueError(_ONE_CLASS)
        return numbers

    def _encode_more(self, model: Any, y: np.ndarray, labels: Any) -> Any:
        if self._encode_targets(model, y) is y:
            return labels
        classes, labels = np.unique(y), np.asarray(labels)
        unknown = np.setdiff1d(labels, classes)
        if len(unknown):
            raise ValueError(f"An evaluation set holds labels that y does not: {unknown.tolist()}.")
        return np.searchsorted(classes, labels)

    def _check_model(self, model: Any, ensemble: TreeEnsemble) -> None:
        if not ensemble.link.is_classifier:
            raise ValueError(wrong_kind(type(self).__name__, "classifier", model, ensemble))
        averages = isinstance(ensemble.link, (AverageProbabilityLink, AverageRemainderLink))
        if not averages and len(getattr(model, "classes_", (0, 1))) < 2:
            raise ValueError(_ONE_CLASS)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        source = self._source_tags().classifier_tags
        if source is not None:
            tags.classifier_tags.multi_class = source.multi_class
            tags.classifier_tags.multi_label = source.multi_label and tags.target_tags.multi_output
        return tags


class FHERegressorMixin(RegressorMixin, ContributionsMixin):
    """Fit and predict of every regressor."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, **fit_params: Any) -> FHERegressorMixin:
        """Train in the clear and quantize; an earlier compilation is discarded.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            NaN is accepted where the source model accepts it. Of a DataFrame, boosted trees split columns of dtype
            ``category`` by sets of categories, as the source library does.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None: equal.
        **fit_params
            Handed to ``fit`` of the source model: ``eval_set``, ``callbacks``, ... Rows and labels of evaluation sets
            are prepared as `X` and `y` are.

        Returns
        -------
        self : estimator
            Fitted; not compiled.
        """
        X, y = self._validate_training_set(X, y, fit_params, y_numeric=True)
        self._fit(X, y, sample_weight, fit_params)
        return self

    def predict(self, X: Any, fhe: str = "disable", *, base_margin: Any = None) -> np.ndarray:
        """Predicted values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            The quantized model in the clear; the engine's arithmetic and noise without encryption;
            or encryption, evaluation on ciphertexts and decryption.
        base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), default=None
            A margin for each row, added on the client: in place of the base score of XGBoost, as its own
            ``base_margin`` is, and to the scores of other boosted trees (LightGBM's ``init_score``).

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions within the rounding of the leaf values of what the float model predicts.
        """
        return self._link.predict(self._scores(X, fhe, base_margin))

    def score(self, X: Any, y: Any, sample_weight: Any = None, fhe: str = "disable") -> float:
        """Coefficient of determination of `predict`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, with the columns that `fit` saw.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows; None: equal.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How rows are scored, as in `predict`.

        Returns
        -------
        r2 : float
            The coefficient is 1 for perfect predictions; 0 is what a constant reaches.
        """
        return r2_score(y, self.predict(X, fhe=fhe), sample_weight=sample_weight)

    def _check_model(self, model: Any, ensemble: TreeEnsemble) -> None:
        if ensemble.link.is_classifier or ensemble.link.is_outlier_detector:
            raise ValueError(wrong_kind(type(self).__name__, "regressor", model, ensemble))
