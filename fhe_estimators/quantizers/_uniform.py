"""Bins of equal width."""

from __future__ import annotations

import numpy as np

from ._base import DataQuantizer


class UniformQuantizer(DataQuantizer):
    """Cut each feature's range into ``2 ** n_bits`` bins of equal width.

    Parameters
    ----------
    n_bits : int, default=6
        The number of bits, from 1 to 16.

    Examples
    --------
    >>> import numpy as np
    >>> from fhe_estimators.quantizers import UniformQuantizer
    >>> UniformQuantizer(n_bits=2).fit_transform(np.array([[0.0], [1.0], [2.5], [4.0]])).ravel()
    array([0, 0, 2, 3], dtype=int32)
    """

    name = "uniform"

    def _edges(self, column: np.ndarray) -> np.ndarray:
        if not len(column):
            return np.zeros(0)
        return np.unique(np.linspace(column.min(), column.max(), 2**self.n_bits + 1)[1:-1])
