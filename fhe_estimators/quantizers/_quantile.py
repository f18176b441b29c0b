"""Bins of equal frequency."""

from __future__ import annotations

import numpy as np

from ._base import DataQuantizer


class QuantileQuantizer(DataQuantizer):
    """Cut each feature at its quantiles into at most ``2 ** n_bits`` bins of about equal size.

    Repeated quantiles (a feature with few distinct values) give fewer bins.

    Parameters
    ----------
    n_bits : int, default=6
        The number of bits, from 1 to 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fhe_estimators.quantizers import QuantileQuantizer
    >>> QuantileQuantizer(n_bits=1).fit_transform(np.array([[0.0], [1.0], [2.0], [90.0]])).ravel()
    array([0, 0, 1, 1], dtype=int32)
    """

    name = "quantile"

    def _edges(self, column: np.ndarray) -> np.ndarray:
        if not len(column):
            return np.zeros(0)
        quantiles = np.quantile(column, np.linspace(0, 1, 2**self.n_bits + 1)[1:-1])
        return np.unique(quantiles[quantiles < column.max()])
