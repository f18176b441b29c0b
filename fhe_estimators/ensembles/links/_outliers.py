"""Link of isolation forests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ._base import Link, require_number


@dataclass(frozen=True)
class IsolationLink(Link):
    """Scores are sums of path lengths; values are ``-2 ** (-score / divisor) - offset``, negative for outliers.

    Parameters
    ----------
    divisor : float, default=1.0
        The average path length times the number of trees.
    offset : float, default=0.0
        The value on the border between inliers and outliers.
    """

    name: ClassVar[str] = "isolation"
    is_outlier_detector: ClassVar[bool] = True
    takes_margins: ClassVar[bool] = False
    divisor: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        require_number("divisor", self.divisor, positive=True)
        require_number("offset", self.offset)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return -np.exp2(-scores / self.divisor) - self.offset

    def predict(self, scores: np.ndarray, classes: np.ndarray | list[np.ndarray] | None = None) -> np.ndarray:
        return np.where(self.decision(scores) < 0, -1, 1)

    def decision(self, scores: np.ndarray) -> np.ndarray:
        """The distance from the border, shape (n_samples,): negative for outliers."""
        return self.apply(scores)[:, 0]
