"""Links of regressors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

from ._base import Link, one_column_flat, require_counts


class _RegressionLink(Link):
    """Predictions are the values of the link function."""

    def predict(self, scores: np.ndarray, classes: np.ndarray | list[np.ndarray] | None = None) -> np.ndarray:
        return one_column_flat(self.apply(scores))


@dataclass(frozen=True)
class IdentityLink(_RegressionLink):
    """Scores are values: boosting with squared error and other losses on the scale of the targets."""

    name: ClassVar[str] = "identity"

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return scores


@dataclass(frozen=True)
class ExpLink(_RegressionLink):
    """Scores are logarithms of values: Poisson, gamma and Tweedie losses."""

    name: ClassVar[str] = "exp"

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return np.exp(scores)

    def relevant_ranges(self, score_ranges: np.ndarray) -> np.ndarray:
        # An error e moves the largest value by e exp(high), and values range over exp(high) - exp(low).
        return -np.expm1(-score_ranges)


@dataclass(frozen=True)
class ExpitLink(_RegressionLink):
    """Scores are logits of values between 0 and 1: cross entropy as a regression loss."""

    name: ClassVar[str] = "expit"

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return expit(scores)


@dataclass(frozen=True)
class AverageLink(_RegressionLink):
    """Scores are sums over the trees of a regression forest.

    Parameters
    ----------
    n_trees : int, default=1
        Divisor of the sums.
    """

    name: ClassVar[str] = "average"
    takes_margins: ClassVar[bool] = False
    n_trees: int = 1

    def __post_init__(self) -> None:
        require_counts("n_trees", (self.n_trees,))

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return scores / self.n_trees
