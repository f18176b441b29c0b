"""What every encrypted tree estimator shares: training, compilation and the three ways to predict."""

from __future__ import annotations

import os
import warnings
from abc import abstractmethod
from copy import copy
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ..backends import Backend, Client, Evaluator, Program, resolve_backend
from ..ensembles import (
    Link,
    TreeEnsemble,
    absent_value,
    ensemble_from_model,
    knows_categories,
    scores_from_sums,
    sum_leaves,
)
from ..exceptions import DecryptionError, NotCompiledError, ParameterSelectionError
from ..quantizers import FeatureQuantizer, relative_score_error, resolve_quantizer
from ..serving.archive import ClientModel, save_client_archive, save_server_archive
from ..utils import (
    check_fhe_mode,
    dense_rows,
    get_tags,
    sparse_checks,
    validate_data,
    without_sparse_columns,
)
from ._fit_params import training_arguments
from ._forwarding import ForwardedAttributes


class BaseFHEEstimator(ForwardedAttributes, BaseEstimator):
    """Base class of estimators that train in the clear and predict on encrypted rows.

    Attributes
    ----------
    estimator_ : estimator
        The trained float model of the source library.
    ensemble_ : TreeEnsemble
        Its trees, in floats.
    quantizer_ : FeatureQuantizer
        Fitted.
    quantized_ensemble_ : TreeEnsemble
        Its trees, in integers: the model that all three modes evaluate.
    backend_ : Backend
        The engine, resolved.
    program_ : Program
        After `compile` only.
    """

    quantizer: str | FeatureQuantizer
    backend: str | Backend
    device: str
    random_state: int | np.random.RandomState | None
    n_jobs: int | None
    verbose: int

    def compile(self, X: Any = None) -> BaseFHEEstimator:
        """Compile the fitted model for encrypted prediction.

        Run by the model owner; no keys are needed and the program holds no secrets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Checked against the fitted features if given. The tree engines need no calibration data.

        Returns
        -------
        self : estimator
            This object, with `program_` set.
        """
        check_is_fitted(self, "quantized_ensemble_")
        if X is not None:
            self._validate_rows(X)
        self._discard_program()
        self.backend_ = self._resolve_backend()
        self._quantize()
        self._check_precision()
        self.program_: Program = self.backend_.compile(self.quantized_ensemble_, self.quantizer_, verbose=self.verbose)
        return self

    def save_server(self, path: str | os.PathLike) -> None:
        """Write what a server needs (the model, no secrets) to an archive for `serving.FHEServer`.

        Parameters
        ----------
        path : path-like
            The path of the archive; an existing file is replaced.

        Raises
        ------
        NotCompiledError
            If the estimator is not compiled.
        """
        self._require_program("save_server")
        save_server_archive(path, self.program_)

    def save_client(self, path: str | os.PathLike) -> None:
        """Write what a data owner needs (no secrets, no trees) to an archive for `serving.FHEClient`.

        Parameters
        ----------
        path : path-like
            The path of the archive; an existing file is replaced.

        Raises
        ------
        NotCompiledError
            If the estimator is not compiled.
        """
        self._require_program("save_client")
        quantizer = copy(self.quantizer_)
        if hasattr(self, "preprocessing_"):
            warnings.warn(
                "A client archive does not hold preprocessing, which may be any code. Give preprocessing_ to the data "
                "owner by a way that both trust, and encrypt FHEClient.encrypt(preprocessing_.transform(X)).",
                stacklevel=2,
            )
        elif hasattr(self, "feature_names_in_"):
            quantizer.feature_names_in_ = self.feature_names_in_
        ensemble = self.quantized_ensemble_
        model = ClientModel(
            spec=self.program_.client_spec,
            quantizer=quantizer,
            link=ensemble.link,
            base_score=ensemble.base_score,
            score_scale=ensemble.score_scale,
            row_checks=self._row_checks(),
            classes=getattr(self, "classes_", None),
        )
        save_client_archive(path, model)

    @abstractmethod
    def _make_estimator(self) -> Any:
        """The unfitted float model."""

    @abstractmethod
    def _check_model(self, model: Any, ensemble: TreeEnsemble) -> None:
        """Raise `ValueError` if a trained model does not predict what this estimator is for."""

    def _encode_targets(self, model: Any, y: Any) -> Any:
        """Targets as the source library wants them."""
        return y

    def _encode_more(self, model: Any, y: Any, labels: Any) -> Any:
        """Targets of other rows than those of training, as the source library wants them."""
        return labels

    def _validate_training_set(self, X: Any, y: Any, *, y_numeric: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Check shapes and types; missing and infinite values are left for the source library to judge."""
        self._refuse_categories(X)
        multi_output = get_tags(self).target_tags.multi_output
        X, y = validate_data(
            self,
            without_sparse_columns(X),
            y,
            accept_sparse=["csr", "csc"],
            dtype=[np.float64, np.float32],
            ensure_all_finite=False,
            multi_output=multi_output,
            y_numeric=y_numeric,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _refuse_categories(self, X: Any) -> None:
        """An error for columns that the source model would take as categories, and that `fit` would make numbers of."""
        columns = [name for name in getattr(X, "columns", ()) if str(X[name].dtype) == "category"]
        if columns and knows_categories(self._make_estimator()):
            raise ValueError(
                f"Columns {columns} have dtype 'category', which fit would train as numbers. Train the model itself "
                "and pass it with X to FHEClassifier.from_fitted or FHERegressor.from_fitted, or encode them "
                "(OrdinalEncoder or OneHotEncoder in a pipeline)."
            )

    def _fit(self, X: Any, y: Any, sample_weight: Any, fit_params: dict[str, Any] | None = None) -> None:
        """Train on validated rows; sets every fitted attribute that does not depend on the task."""
        backend, quantizer, model = self._resolve_backend(), resolve_quantizer(self.quantizer), self._make_estimator()
        weights = {} if sample_weight is None else {"sample_weight": _check_sample_weight(sample_weight, X)}
        quantizer.absent_value_ = absent_value(model)
        if quantizer.trains_on_bins:
            quantizer.fit(X)

        def features_of(rows: Any) -> Any:
            if quantizer.trains_on_bins:
                return quantizer.training_features(rows)
            return rows if get_tags(model).input_tags.sparse else dense_rows(rows, quantizer.absent_value_)

        def rows_of(rows: Any) -> Any:
            rows = without_sparse_columns(rows)
            return features_of(validate_data(self, rows, reset=False, **self._training_checks()))

        targets = self._encode_targets(model, y)
        others = training_arguments(fit_params or {}, rows_of, lambda labels: self._encode_more(model, y, labels))
        model.fit(features_of(X), targets, **weights, **others)
        self._adopt(model, quantizer, backend, X)

    @staticmethod
    def _training_checks() -> dict[str, Any]:
        return {"dtype": [np.float64, np.float32], "ensure_all_finite": False, "accept_sparse": ["csr", "csc"]}

    def _adopt(self, model: Any, quantizer: FeatureQuantizer, backend: Backend, X: Any = None) -> None:
        """Take over a trained model; ``X`` are rows as it was trained on."""
        ensemble = ensemble_from_model(model, X)
        self._check_model(model, ensemble)
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

    def _validate_rows(self, X: Any) -> np.ndarray:
        """Rows to predict, accepted or refused as the source library does."""
        if hasattr(self, "preprocessing_"):
            X = self.preprocessing_.transform(X)  # checks names and number of the columns that it takes
        checked: Any = self.quantizer_ if hasattr(self, "preprocessing_") else self
        encoding, checks = self.ensemble_.encoding, self._row_checks()
        if encoding is None or self.quantizer_.trains_on_bins:
            X = without_sparse_columns(X)
            return validate_data(checked, X, reset=False, **sparse_checks(X, checks))
        rows = encoding.transform(validate_data(checked, X, reset=False, skip_check_array=True))
        return check_array(rows, **sparse_checks(rows, checks))

    def _row_checks(self) -> dict[str, Any]:
        """``dtype`` and ``ensure_all_finite`` for scikit-learn's validation of rows."""
        ensemble, on_bins = self.ensemble_, self.quantizer_.trains_on_bins
        # Trees of scikit-learn itself compare float32 with <=; they alone refuse infinite values.
        infinity = not on_bins and (ensemble.strict or ensemble.input_dtype == "float64")
        allowed: bool | str = not infinity and "allow-nan" if ensemble.allow_nan else True
        return {"dtype": ["float64", "float32"] if on_bins else ensemble.input_dtype, "ensure_all_finite": allowed}

    @property
    def _link(self) -> Link:
        check_is_fitted(self, "quantized_ensemble_")
        return self.quantized_ensemble_.link

    def _scores(self, X: Any, fhe: str) -> np.ndarray:
        """Real scores, shape (n_samples, n_scores), computed as ``fhe`` says."""
        check_is_fitted(self, "quantized_ensemble_")
        check_fhe_mode(fhe)
        if fhe != "disable":
            self._require_program(f"fhe={fhe!r}")
        return scores_from_sums(self.quantized_ensemble_, self.sum_leaves(self.quantize(X), fhe))

    def quantize(self, X: Any) -> np.ndarray:
        """Integer codes of samples: what is encrypted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, with the columns that `fit` saw.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that `quantizer_` gives the samples; sets of categories follow the features.
        """
        check_is_fitted(self, "quantized_ensemble_")
        return self.quantizer_.codes(self._validate_rows(X))

    def source_features(self, X: Any) -> Any:
        """Samples as `estimator_`, the trained float model, takes them.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Samples, with the columns that `fit` saw.

        Returns
        -------
        features : array-like of shape (n_samples, n_features)
            Bins where the model was trained on bins; the samples themselves otherwise.
        """
        check_is_fitted(self, "quantized_ensemble_")
        if self.quantizer_.trains_on_bins:
            return self.quantizer_.training_features(self._validate_rows(X))
        if hasattr(self.estimator_, "feature_names_in_") or self.ensemble_.encoding is not None:
            return self.preprocessing_.transform(X) if hasattr(self, "preprocessing_") else X
        rows = self._validate_rows(X)
        if get_tags(self.estimator_).input_tags.sparse:
            return rows
        return dense_rows(rows, self.quantizer_.absent_value_)

    def sum_leaves(self, codes: np.ndarray, fhe: str = "disable") -> np.ndarray:
        """Sums of the integer leaves that samples reach.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that `quantize` returned.
        fhe : {"disable", "simulate", "execute"}, default="disable"
            How sums are computed, as in ``predict``.

        Returns
        -------
        sums : ndarray of shape (n_samples, n_scores), int64
            The same in every mode.
        """
        if fhe == "disable":
            return sum_leaves(self.quantized_ensemble_, codes)
        if fhe == "simulate":
            return self.backend_.simulate(self.program_, codes)
        client, evaluator = self._two_parties()
        client.verbose = evaluator.verbose = self.verbose
        evaluator.n_jobs = self.n_jobs
        request = client.encrypt(codes)  # passed on below: threads may share the client
        try:
            return client.decrypt(evaluator.run(request, client.evaluation_keys), request)
        except DecryptionError:
            self.__dict__.pop("_process_parties", None)  # the client retired its keys: the next call makes fresh ones
            raise

    def _two_parties(self) -> tuple[Client, Evaluator]:
        """Client and evaluator of the program in this process; keys are made on first use and never leave it."""
        process, *parties = self.__dict__.get("_process_parties", (None,))
        if process != os.getpid():
            client = self.backend_.client(self.program_.client_spec, verbose=self.verbose)
            client.start_session()
            parties = [client, self.backend_.evaluator(self.program_)]
            self._process_parties = (os.getpid(), *parties)
        return parties[0], parties[1]

    def _require_program(self, what: str) -> None:
        check_is_fitted(self, "quantized_ensemble_")
        if not hasattr(self, "program_"):
            raise NotCompiledError(
                f"{what} needs a compiled model: call {type(self).__name__}.compile() after fit (every fit discards "
                'an earlier compilation). For the quantized model in the clear use fhe="disable".'
            )

    def _discard_program(self) -> None:
        for name in ("program_", "_process_parties"):
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        # The client holds the secret key: it is never pickled or copied.
        return {name: value for name, value in super().__getstate__().items() if name != "_process_parties"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        source = get_tags(self._make_estimator())
        tags.input_tags.allow_nan = source.input_tags.allow_nan
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = source.target_tags.multi_output
        return tags


class SourceParameters(BaseFHEEstimator):
    """Mixin of estimators whose parameters are those of one class of scikit-learn.

    Parameters that the source class knows are handed to it; the others configure the encryption.
    """

    _source_class: ClassVar[type[BaseEstimator]]

    def _store_parameters(self, parameters: dict[str, Any]) -> None:
        """Set parameters from the ``locals()`` of ``__init__``."""
        for name in self._get_param_names():
            setattr(self, name, parameters[name])

    def _make_estimator(self) -> BaseEstimator:
        known = set(self._source_class().get_params()) - {"verbose"}
        return self._source_class(**{k: v for k, v in self.get_params(deep=False).items() if k in known})
