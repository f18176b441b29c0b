"""What every feature quantizer shares: bins given by sorted edges."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..ensembles import MISSING, RowEncoding, TreeEnsemble, checked_rows
from ..utils import dense_blocks, dense_columns, validate_data, without_sparse_columns


class FeatureQuantizer(TransformerMixin, BaseEstimator):
    """Base class of the transformers from real features to small integers.

    A fitted quantizer holds, for each feature, sorted edges; the code of a value is the number of
    edges strictly below it, so ``x > edges[k]`` is the same statement as ``code > k``. A missing
    value (NaN) has the code `MISSING`.

    Attributes
    ----------
    edges_ : list of n_features ndarrays of shape (n_edges,), float64
        Sorted, without repetitions.
    input_dtype_ : {"float32", "float64"}
        Rows are cast to this type before they are compared.
    absent_value_ : float
        What entries that a sparse matrix does not store stand for: 0, or NaN for models of XGBoost.
    encoding_ : RowEncoding or None
        How rows become the features that have edges (categories, for example), where they are not the features
        themselves.
    """

    #: Name in the registry and in archives.
    name: str
    #: Whether the model is trained on the codes rather than on the features.
    trains_on_bins: bool
    #: What a data owner who holds the quantizer learns of the model.
    client_learns: str

    edges_: list[np.ndarray]
    input_dtype_: str
    absent_value_: float | None = 0.0
    encoding_: RowEncoding | None = None

    @property
    def hidden_code_bits(self) -> int | None:
        """Bits of the codes if clients must not learn which bins the model uses, else None."""
        return None

    @abstractmethod
    def fit(self, X: Any, y: Any = None) -> FeatureQuantizer:
        """Learn the edges.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : None, default=None
            Ignored.

        Returns
        -------
        self : FeatureQuantizer
            Fitted.
        """

    @abstractmethod
    def quantize_thresholds(self, ensemble: TreeEnsemble) -> TreeEnsemble:
        """The same trees with integer thresholds: a row goes right iff its code is larger.

        Parameters
        ----------
        ensemble : TreeEnsemble
            Float thresholds over the features, or over the codes if `trains_on_bins`.

        Returns
        -------
        TreeEnsemble
            With ``threshold`` of type int32 and ``strict=False``; leaf values are untouched.
        """

    def transform(self, X: Any) -> np.ndarray:
        """Codes of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN is allowed. Sparse ones are made dense a block at a time.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_features), int32
            Numbers of edges below the values; `MISSING` for NaN. With an `encoding_`, sets of categories follow the
            features.
        """
        return self.codes(self.encode(X))

    def encode(self, X: Any) -> np.ndarray:
        """Rows as the numbers that have edges.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows; NaN is allowed.

        Returns
        -------
        numbers : ndarray of shape (n_samples, n_encoded_features)
            The rows, or what `encoding_` makes of them.
        """
        check_is_fitted(self, "edges_")
        lenient = {"dtype": [np.float64, np.float32], "ensure_all_finite": False}
        return checked_rows(self, X, self.encoding_, lenient)

    def codes(self, numbers: np.ndarray) -> np.ndarray:
        """Codes of what `encode` returned.

        Parameters
        ----------
        numbers : ndarray of shape (n_samples, n_encoded_features)
            Features of rows; NaN is allowed.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_encoded_features), int32
            As of `transform`.
        """
        check_is_fitted(self, "edges_")
        codes = np.empty(numbers.shape, dtype=np.int32)
        for rows, block in dense_blocks(numbers, self.absent_value_):
            with np.errstate(over="ignore"):
                block = block.astype(self.input_dtype_, copy=False)
            of_block = codes[rows]
            for j, edges in enumerate(self.edges_):
                of_block[:, j] = np.searchsorted(edges, block[:, j], side="left")
            of_block[np.isnan(block)] = MISSING
        return codes

    def training_features(self, X: Any) -> np.ndarray:
        """Codes as floats: what models train on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN is allowed.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features), float64
            NaN for missing values.
        """
        codes = self.transform(X).astype(np.float64)
        codes[codes == MISSING] = np.nan
        return codes

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Fitted state as plain arrays, for archives.

        Returns
        -------
        arrays : dict of str to ndarray
            The arrays that `set_arrays` takes.
        """
        check_is_fitted(self, "edges_")
        return {
            "edges": np.concatenate([np.zeros(0), *self.edges_]),
            "n_edges": np.array([len(edges) for edges in self.edges_], dtype=np.int64),
        }

    def set_arrays(self, arrays: dict[str, np.ndarray], input_dtype: str) -> FeatureQuantizer:
        """Restore the state written by `to_arrays`.

        Parameters
        ----------
        arrays : dict of str to ndarray
            The arrays that `to_arrays` returned.
        input_dtype : {"float32", "float64"}
            The value of `input_dtype_`.

        Returns
        -------
        self : FeatureQuantizer
            Fitted.
        """
        self.edges_ = np.split(arrays["edges"], np.cumsum(arrays["n_edges"])[:-1])
        self.n_features_in_ = len(self.edges_)
        self.input_dtype_ = input_dtype
        return self

    def set_encoding(self, encoding: RowEncoding | None) -> None:
        """Take rows through an encoding from now on.

        Parameters
        ----------
        encoding : RowEncoding or None
            From columns to the features that have edges.

        Raises
        ------
        ValueError
            If it has other features than there are edges.
        """
        if encoding is not None:
            if encoding.n_columns + len(encoding.sets) != len(self.edges_):
                raise ValueError("the encoding has another number of features than the quantizer")
            self.n_features_in_ = encoding.n_columns
        self.encoding_ = encoding

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


class DataQuantizer(FeatureQuantizer):
    """Base class of quantizers whose edges come from the data alone, never from the model.

    Parameters
    ----------
    n_bits : int, default=6
        There are at most ``2 ** n_bits`` bins per feature, missing values apart.
    """

    trains_on_bins = True
    client_learns = "the range and the bin edges of every feature; nothing of the model"

    def __init__(self, n_bits: int = 6):
        self.n_bits = n_bits

    @property
    def hidden_code_bits(self) -> int:
        return int(self.n_bits)

    @abstractmethod
    def _edges(self, column: np.ndarray) -> np.ndarray:
        """Edges, shape (n_edges,), of one feature's non-missing, finite values."""

    def fit(self, X: Any, y: Any = None) -> DataQuantizer:
        """Learn the edges from data.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows; NaN is allowed.
        y : None, default=None
            Ignored.

        Returns
        -------
        self : DataQuantizer
            Fitted.
        """
        if not isinstance(self.n_bits, (int, np.integer)) or not 1 <= self.n_bits <= 16:
            raise ValueError(f"n_bits must be an integer from 1 to 16, got {self.n_bits!r}.")
        X = validate_data(
            self, without_sparse_columns(X), dtype=np.float64, ensure_all_finite="allow-nan", accept_sparse="csc"
        )
        self.input_dtype_ = "float64"
        self.edges_ = [self._edges(column[~np.isnan(column)]) for column in dense_columns(X, self.absent_value_)]
        return self

    def quantize_thresholds(self, ensemble: TreeEnsemble) -> TreeEnsemble:
        inner = ~ensemble.is_leaf
        floats = np.where(inner, ensemble.threshold, 0.0)
        codes = np.ceil(floats) - 1 if ensemble.strict else np.floor(floats)
        # Codes reach from 0 to 2 ** n_bits - 1: what lies outside decides nothing.
        codes = np.clip(codes, -1, 2**self.n_bits - 1).astype(np.int32)
        return replace(ensemble, threshold=codes, strict=False, encoding=None)
