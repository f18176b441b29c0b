"""Taking over models that are trained already."""

from __future__ import annotations

from typing import Any

from ..ensembles import as_estimator, column_names
from ..quantizers import resolve_quantizer
from ..utils import validate_data
from ._base import BaseFHEEstimator
from ._import_check import check_import


class TakesOverModels(BaseFHEEstimator):
    """Mixin of estimators with a ``from_fitted``."""

    def _take_over(self, model: Any, preprocessing: Any, X: Any) -> None:
        """Become the estimator of a fitted model, and of what comes before it; both from `final_model`."""
        model = as_estimator(model)
        quantizer = resolve_quantizer(self.quantizer)
        if quantizer.trains_on_bins:
            raise ValueError(
                f"quantizer={self.quantizer!r} trains the model on its bins, which cannot be done to a trained model. "
                f'Use quantizer="threshold", or {type(self).__name__}(..., quantizer=...).fit.'
            )
        rows = X if preprocessing is None or X is None else preprocessing.transform(X)
        self._adopt(model, quantizer, self._resolve_backend(), rows)
        self._take_over_names(model, X if preprocessing is None else None)
        if preprocessing is not None:
            self._take_over_preprocessing(preprocessing)
        if X is not None:
            self._validate_rows(X)
        check_import(model, self.ensemble_, rows)

    def _take_over_names(self, model: Any, X: Any) -> None:
        """Names of features and classes, and their number: the user's own names, where they are those of the model."""
        self.n_features_in_ = self.ensemble_.n_columns
        names = column_names(model)
        if names is not None:
            self.feature_names_in_ = names
        if hasattr(X, "columns"):
            checked = {"skip_check_array": True}
            if names is not None:
                validate_data(self, X, reset=False, **checked)
            validate_data(self, X, **checked)
            self.n_features_in_ = self.ensemble_.n_columns  # of the model: that of X is checked with its values
            if names is not None and not hasattr(self, "feature_names_in_"):
                self.feature_names_in_ = names  # labels that are no strings are no names for scikit-learn

    def _take_over_preprocessing(self, preprocessing: Any) -> None:
        """Take the rows that go into a pipeline from now on; names of the last step's features go to the quantizer."""
        if hasattr(self, "feature_names_in_"):
            self.quantizer_.feature_names_in_ = self.feature_names_in_
            del self.feature_names_in_
        self.preprocessing_ = preprocessing
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(preprocessing, name):
                setattr(self, name, getattr(preprocessing, name))
