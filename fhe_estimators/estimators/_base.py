"""What every encrypted tree estimator shares: compilation and the three ways to predict."""

from __future__ import annotations

import os
import warnings
from copy import copy
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..backends import Client, Evaluator, Program
from ..ensembles import (
    Link,
    checked_rows,
    replaced_by_margins,
    rows_for,
    scores_from_sums,
    sum_leaves,
    with_margins,
)
from ..exceptions import DecryptionError, NotCompiledError
from ..serving.archive import ClientModel, save_client_archive, save_server_archive
from ..utils import check_fhe_mode, row_blocks
from ._forwarding import ForwardedAttributes
from ._training import Training


class BaseFHEEstimator(ForwardedAttributes, Training, BaseEstimator):
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
            replaced_by_margins=self._replaced_by_margins(),
            classes=getattr(self, "classes_", None),
        )
        save_client_archive(path, model)

    def _validate_rows(self, X: Any) -> Any:
        """Rows to predict, accepted or refused as the source library does."""
        return self._read(self._preprocessed(X))

    def _preprocessed(self, X: Any) -> Any:
        """Rows as the trees' model takes them; preprocessing checks names and number of the columns that it takes."""
        return self.preprocessing_.transform(X) if hasattr(self, "preprocessing_") else X

    def _read(self, X: Any) -> Any:
        """The features of preprocessed rows, or of some of them."""
        reader = self.quantizer_ if hasattr(self, "preprocessing_") else self
        encoding = None if self.quantizer_.trains_on_bins else self.ensemble_.encoding
        return checked_rows(reader, X, encoding, self._row_checks())

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

    def _scores(self, X: Any, fhe: str, base_margin: Any = None) -> np.ndarray:
        """Real scores, shape (n_samples, n_scores), computed as ``fhe`` says."""
        check_is_fitted(self, "quantized_ensemble_")
        check_fhe_mode(fhe)
        if fhe == "disable":
            sums = self._sums_in_the_clear(X)
        else:
            self._require_program(f"fhe={fhe!r}")
            sums = self.sum_leaves(self.quantize(X), fhe)
        return with_margins(scores_from_sums(self.quantized_ensemble_, sums), base_margin, self._replaced_by_margins())

    def _replaced_by_margins(self) -> np.ndarray | None:
        return replaced_by_margins(self.estimator_, self.ensemble_)

    def _sums_in_the_clear(self, X: Any) -> np.ndarray:
        """Sums of integer leaves, a block of rows at a time: codes of all rows would take more memory than `X`."""
        ensemble = self.quantized_ensemble_
        blocks = row_blocks(self._preprocessed(X), ensemble.n_features)
        return np.concatenate([sum_leaves(ensemble, self.quantizer_.codes(self._read(block))) for block in blocks])

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
        return rows_for(self.estimator_, self._validate_rows(X))

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

    def __getstate__(self) -> dict[str, Any]:
        # The client holds the secret key: it is never pickled or copied.
        return {name: value for name, value in super().__getstate__().items() if name != "_process_parties"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        source = self._source_tags()
        tags.input_tags.allow_nan = source.input_tags.allow_nan
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = source.target_tags.multi_output
        return tags
