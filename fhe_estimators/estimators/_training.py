"""Training in the clear, and what is made of the trained model."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import _check_sample_weight, _check_y

from ..backends import Backend, resolve_backend
from ..ensembles import TreeEnsemble, absent_value, ensemble_from_model, naming_columns, numbers_as_read, rows_for
from ..exceptions import ParameterSelectionError
from ..quantizers import FeatureQuantizer, relative_score_error, resolve_quantizer
from ..utils import get_tags, validate_data, without_sparse_columns
from ._fit_params import training_arguments
from ._frames import (
    check_frame,
    explaining_categories,
    refuse_categories,
    trains_on_frame,
    warn_of_categories,
)
from ._import_check import check_import


class Training:
    """Mixin of estimators that train a float model of a source library, and quantize its trees."""

    quantizer: str | FeatureQuantizer
    backend: str | Backend
    device: str
    random_state: int | np.random.RandomState | None
    n_jobs: int | None
    verbose: int
    ensemble_: TreeEnsemble

    @abstractmethod
    def _make_estimator(self) -> Any:
        """The unfitted float model."""

    def _source_tags(self) -> Any:
        """scikit-learn's tags of the unfitted float model."""
        return get_tags(self._make_estimator())

    @abstractmethod
    def _check_model(self, model: Any, ensemble: TreeEnsemble) -> None:
        """Raise `ValueError` if a trained model does not predict what this estimator is for."""

    def _encode_targets(self, model: Any, y: Any) -> Any:
        """Targets as the source library wants them."""
        return y

    def _encode_more(self, model: Any, y: Any, labels: Any) -> Any:
        """Targets of other rows than those of training, as the source library wants them."""
        return labels

    def _validate_training_set(
        self, X: Any, y: Any, fit_params: dict[str, Any], *, y_numeric: bool = False
    ) -> tuple[Any, np.ndarray]:
        """Check shapes and types; missing and infinite values are left for the source library to judge.

        DataFrames whose categories or names the model needs stay DataFrames; all other rows become arrays.
        """
        X, model = without_sparse_columns(X), self._make_estimator()
        on_bins = resolve_quantizer(self.quantizer).trains_on_bins
        of_targets = {"multi_output": get_tags(self).target_tags.multi_output, "y_numeric": y_numeric}
        if trains_on_frame(model, X, fit_params):
            validate_data(self, X, y, skip_check_array=True)
            check_frame(model, X, fit_params, trains_on_bins=on_bins)
            y = _check_y(y, estimator=self, **of_targets)
            check_consistent_length(X, y)
        else:
            table = X
            refuse_categories(model, table)
            with naming_columns(table):
                X, y = validate_data(self, table, y, **self._training_checks(), **of_targets)
            X = X if on_bins else numbers_as_read(model, table, X)
            warn_of_categories(model, table, stacklevel=4)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _fit(self, X: Any, y: Any, sample_weight: Any, fit_params: dict[str, Any] | None = None) -> None:
        """Train on validated rows; sets every fitted attribute that does not depend on the task."""
        backend, quantizer, model = self._resolve_backend(), resolve_quantizer(self.quantizer), self._make_estimator()
        weights = {} if sample_weight is None else {"sample_weight": _check_sample_weight(sample_weight, X)}
        quantizer.absent_value_ = absent_value(model)
        on_frame = hasattr(X, "iloc")
        if quantizer.trains_on_bins:
            quantizer.fit(X)

        def features_of(rows: Any) -> Any:
            if quantizer.trains_on_bins:
                return quantizer.training_features(rows)
            return rows_for(model, rows)

        def rows_of(rows: Any) -> Any:
            rows = without_sparse_columns(rows)
            if on_frame:
                return validate_data(self, rows, reset=False, skip_check_array=True)
            with naming_columns(rows):
                numbers = validate_data(self, rows, reset=False, **self._training_checks())
            return features_of(numbers if quantizer.trains_on_bins else numbers_as_read(model, rows, numbers))

        targets = self._encode_targets(model, y)
        others = training_arguments(fit_params or {}, rows_of, lambda labels: self._encode_more(model, y, labels))
        if not on_frame:
            model.fit(features_of(X), targets, **weights, **others)
            self._adopt(model, quantizer, backend, X)
            return
        with explaining_categories(X):
            model.fit(X, targets, **weights, **others)
            self._adopt(model, quantizer, backend, X)
            check_import(model, self.ensemble_, X)

    @staticmethod
    def _training_checks() -> dict[str, Any]:
        return {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "accept_sparse": ["csr", "csc"]}

    def _adopt(self, model: Any, quantizer: FeatureQuantizer, backend: Backend, X: Any = None) -> None:
        """Take over a trained model; ``X`` are rows as it was trained on."""
        ensemble = ensemble_from_model(model, X)
        self._check_model(model, ensemble)
        if quantizer.trains_on_bins and ensemble.encoding is not None and ensemble.encoding.sets:
            raise ValueError(
                f"This {type(model).__name__} splits on categories, and the quantizer made bins of numbers of them: "
                "use quantizer='threshold', or train without categorical features."
            )
        if quantizer.trains_on_bins and ensemble.encoding is not None and ensemble.encoding.missing is not None:
            raise ValueError(
                f"This {type(model).__name__} has missing={ensemble.encoding.missing:g}, and the quantizer takes that "
                "for a number: use quantizer='threshold', or NaN for missing values."
            )
        self._discard_program()
        self.__dict__.pop("preprocessing_", None)  # of a pipeline that was imported before
        quantizer.absent_value_ = absent_value(model)
        if not quantizer.trains_on_bins:
            quantizer.set_params(ensemble=ensemble).fit()
        self.estimator_, self.ensemble_, self.quantizer_, self.backend_ = model, ensemble, quantizer, backend
        self._quantize()

    def _quantize(self) -> None:
        self.quantized_ensemble_ = self.backend_.quantize(self.ensemble_, self.quantizer_)

    def _check_precision(self) -> None:
        error = relative_score_error(self.ensemble_, self.quantized_ensemble_)
        if error > self.backend_.worst_score_error:
            raise ParameterSelectionError(
                f"The {self.backend_.name!r} backend would round leaf values so coarsely that scores may be wrong by "
                f"{error:.1e} of their range (at most {self.backend_.worst_score_error:.0e} is accepted). Use fewer "
                "trees, targets of a smaller range (scale or transform them before training), or another backend."
            )

    def _resolve_backend(self) -> Backend:
        backend = resolve_backend(self.backend)
        if self.device != "cpu":
            raise ValueError(f"device={self.device!r} is not supported by the {backend.name!r} backend: use 'cpu'.")
        return backend

    def _discard_program(self) -> None:
        for name in ("program_", "_process_parties"):
            self.__dict__.pop(name, None)
