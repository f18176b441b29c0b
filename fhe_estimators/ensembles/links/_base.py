"""What every link function has."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

#: Parameters of all links, with the values they have where a link does without them. Archives hold all of them, and
#: the digests that tie keys to programs are computed from all of them, in this order: it never changes.
_ALL_PARAMETERS: dict[str, Any] = {
    "n_trees": 1,
    "class_counts": (),
    "positive_on_tie": False,
    "divisor": 1.0,
    "offset": 0.0,
}


@dataclass(frozen=True)
class Link(ABC):
    """A link function: a class for each, immutable, with the parameters that the function has.

    Attributes
    ----------
    name : str
        The name in archives.
    is_classifier : bool
        Whether scores become probabilities of classes.
    is_outlier_detector : bool
        Whether predictions are +1 for inliers and -1 for outliers.
    takes_margins : bool
        Whether scores are margins, to which a margin of each row may be added, as those of boosted trees are.
    """

    name: ClassVar[str]
    is_classifier: ClassVar[bool] = False
    is_outlier_detector: ClassVar[bool] = False
    takes_margins: ClassVar[bool] = True

    @abstractmethod
    def apply(self, scores: np.ndarray) -> np.ndarray:
        """The function itself.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_scores)
            The scores that `evaluate` returned, or that were decrypted.

        Returns
        -------
        predictions : ndarray of shape (n_samples, n_outputs) or (n_samples, n_probabilities)
            Values of a regressor or an outlier detector; the probabilities of all classes of all outputs of a
            classifier.
        """

    @abstractmethod
    def predict(self, scores: np.ndarray, classes: np.ndarray | list[np.ndarray] | None = None) -> np.ndarray:
        """What the estimator's ``predict`` returns.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_scores)
            The scores that `evaluate` returned, or that were decrypted.
        classes : ndarray of shape (n_classes,), or a list of them, default=None
            The labels of a classifier by index; a list, one for each output, for multi-output models.

        Returns
        -------
        predictions : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Labels, values, or +1 and -1.
        """

    def decision(self, scores: np.ndarray) -> np.ndarray:
        """Confidence scores, in scikit-learn's shapes.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_scores)
            The scores that `evaluate` returned, or that were decrypted.

        Returns
        -------
        confidences : ndarray of shape (n_samples,) or (n_samples, n_scores)
            The scores themselves, unless a link says otherwise; one-dimensional if there is one.
        """
        return one_column_flat(scores)

    def relevant_ranges(self, score_ranges: np.ndarray) -> np.ndarray:
        """What errors of scores are judged against.

        Parameters
        ----------
        score_ranges : ndarray of shape (n_scores,)
            Largest less smallest score of each column.

        Returns
        -------
        ranges : ndarray of shape (n_scores,)
            An error of a fraction of this in a score is one of at most that fraction in the range of scores, or of
            values where a link takes exponentials.
        """
        return score_ranges

    def to_dict(self) -> dict[str, Any]:
        """The name and parameters, for archives and digests.

        Returns
        -------
        values : dict
            The name and the parameters of all links; those that this one has not have their default values.
        """
        return {"name": self.name, **_ALL_PARAMETERS, **asdict(self)}


def one_column_flat(columns: np.ndarray) -> np.ndarray:
    """A single column as a one-dimensional array; several as they are."""
    return columns[:, 0] if columns.shape[1] == 1 else columns


def require_number(name: str, value: Any, *, positive: bool = False) -> None:
    """`ValueError` unless a parameter, which may come from a file, is a finite (positive) number."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or (positive and value <= 0):
        raise ValueError(f"{name}={value!r} of a link must be a {'positive' if positive else 'finite'} number.")


def require_counts(name: str, values: tuple[Any, ...]) -> None:
    """`ValueError` unless parameters, which may come from a file, are positive integers."""
    if not all(type(value) is int and value >= 1 for value in values):
        raise ValueError(f"{name}={values!r} of a link must be positive integers.")
