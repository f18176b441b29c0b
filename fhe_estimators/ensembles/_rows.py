"""The rows of a data owner, checked and encoded: one rule for estimators, quantizers and clients."""

from __future__ import annotations

from typing import Any

from sklearn.utils import check_array

from ..utils import sparse_checks, validate_data, without_sparse_columns
from ._columns import naming_columns
from ._encoding import RowEncoding


def checked_rows(reader: Any, X: Any, encoding: RowEncoding | None, checks: dict[str, Any]) -> Any:
    """Rows to predict as the numbers that trees compare, accepted or refused as the source library does.

    Parameters
    ----------
    reader : estimator
        Fitted: knows the names and the number of the columns.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_columns)
        Rows.
    encoding : RowEncoding or None
        From the columns to the features, where they are not the features themselves.
    checks : dict
        ``dtype`` and ``ensure_all_finite`` of `sklearn.utils.check_array`, for the features.

    Returns
    -------
    features : ndarray or sparse matrix of shape (n_samples, n_features)
        The columns, then the sets of categories of the encoding.

    Raises
    ------
    TypeError, ValueError
        If the columns are not those of training, or hold what the model does not take; what is no number is named.
    """
    if encoding is not None:
        features = encoding.transform(validate_data(reader, X, reset=False, skip_check_array=True))
        return check_array(features, **sparse_checks(features, checks))
    X = without_sparse_columns(X)
    with naming_columns(X):
        return validate_data(reader, X, reset=False, **sparse_checks(X, checks))
