"""Links of classifiers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit, softmax

from ._base import Link, one_column_flat, require_counts, require_number


class ClassificationLink(Link):
    """Scores become probabilities of classes, and labels."""

    is_classifier: ClassVar[bool] = True

    @abstractmethod
    def class_indices(self, scores: np.ndarray) -> np.ndarray:
        """Index of the predicted class of each output; ties are broken as the source library breaks them.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_scores)
            The scores that `evaluate` returned, or that were decrypted.

        Returns
        -------
        indices : ndarray of shape (n_samples, n_outputs)
            Indices of classes, from 0.
        """

    @abstractmethod
    def n_classes(self, n_scores: int) -> int:
        """Number of classes of a model with one output.

        Parameters
        ----------
        n_scores : int
            Width of the scores.

        Returns
        -------
        n_classes : int
            The number of classes, at least 1.
        """

    def predict(self, scores: np.ndarray, classes: np.ndarray | list[np.ndarray] | None = None) -> np.ndarray:
        if classes is None:
            raise ValueError("A classifier's predictions need classes, the labels by index.")
        indices = self.class_indices(scores)
        if not isinstance(classes, list):
            return classes[indices[:, 0]]
        return np.column_stack([of_output[column] for of_output, column in zip(classes, indices.T, strict=True)])

    def probabilities(self, scores: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Class probabilities.

        Parameters
        ----------
        scores : ndarray of shape (n_samples, n_scores)
            The scores that `evaluate` returned, or that were decrypted.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), or a list of them
            A list if there are several outputs.
        """
        return self.apply(scores)


@dataclass(frozen=True)
class SigmoidLink(ClassificationLink):
    """The score is the margin of the second of two classes.

    Parameters
    ----------
    positive_on_tie : bool, default=False
        Whether a margin of exactly 0 means the second class.
    divisor : float, default=1.0
        Divisor of the margin.
    """

    name: ClassVar[str] = "sigmoid"
    positive_on_tie: bool = False
    divisor: float = 1.0

    def __post_init__(self) -> None:
        require_number("divisor", self.divisor, positive=True)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        p = expit(scores[:, :1] / self.divisor)
        return np.concatenate([1.0 - p, p], axis=1)

    def class_indices(self, scores: np.ndarray) -> np.ndarray:
        margin = scores[:, :1]
        return (margin >= 0 if self.positive_on_tie else margin > 0).astype(np.intp)

    def n_classes(self, n_scores: int) -> int:
        return 2


class _ScorePerClassLink(ClassificationLink):
    """One score for each class; the largest one wins, and the first of equal ones."""

    def class_indices(self, scores: np.ndarray) -> np.ndarray:
        return scores.argmax(axis=1)[:, None]

    def n_classes(self, n_scores: int) -> int:
        return n_scores


@dataclass(frozen=True)
class SoftmaxLink(_ScorePerClassLink):
    """Scores are logarithms of probabilities, up to a common constant and divisor.

    Parameters
    ----------
    divisor : float, default=1.0
        Divisor of the scores.
    """

    name: ClassVar[str] = "softmax"
    divisor: float = 1.0

    def __post_init__(self) -> None:
        require_number("divisor", self.divisor, positive=True)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return softmax(scores / self.divisor, axis=1)


@dataclass(frozen=True)
class OneVersusRestLink(_ScorePerClassLink):
    """One sigmoid for each class; probabilities need not sum to 1.

    Parameters
    ----------
    divisor : float, default=1.0
        Divisor of the margins.
    """

    name: ClassVar[str] = "ovr"
    divisor: float = 1.0

    def __post_init__(self) -> None:
        require_number("divisor", self.divisor, positive=True)

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return expit(scores / self.divisor)


class _AveragingLink(ClassificationLink):
    """Scores are sums of class probabilities over the trees of a forest."""

    takes_margins: ClassVar[bool] = False
    n_trees: int
    class_counts: tuple[int, ...]

    def __post_init__(self) -> None:
        require_counts("n_trees", (self.n_trees,))
        require_counts("class_counts", self.class_counts)

    def class_indices(self, scores: np.ndarray) -> np.ndarray:
        return np.column_stack([p.argmax(axis=1) for p in self._of_outputs(self.apply(scores))])

    def n_classes(self, n_scores: int) -> int:
        return self.class_counts[0]

    def probabilities(self, scores: np.ndarray) -> np.ndarray | list[np.ndarray]:
        probabilities = self.apply(scores)
        return self._of_outputs(probabilities) if len(self.class_counts) > 1 else probabilities

    def decision(self, scores: np.ndarray) -> np.ndarray:
        """The difference of the two class probabilities, or the probabilities themselves if there are more."""
        probabilities = self.apply(scores)
        if probabilities.shape[1] == 2:
            return probabilities[:, 1] - probabilities[:, 0]
        return one_column_flat(probabilities)

    def _of_outputs(self, probabilities: np.ndarray) -> list[np.ndarray]:
        return np.split(probabilities, np.cumsum(self.class_counts)[:-1], axis=1)


@dataclass(frozen=True)
class AverageProbabilityLink(_AveragingLink):
    """Scores are sums of the probabilities of all classes over the trees of a forest.

    Classes that are tied in a leaf are rounded alike, so they stay tied; what rounding adds to the sum of an output's
    probabilities or takes from it is divided out again.

    Parameters
    ----------
    n_trees : int, default=1
        Number of trees, which is what the scores of an output add up to, up to rounding.
    class_counts : tuple of int
        Number of classes of each output, which has as many score columns.
    """

    name: ClassVar[str] = "average_probabilities"
    n_trees: int = 1
    class_counts: tuple[int, ...] = ()

    def apply(self, scores: np.ndarray) -> np.ndarray:
        return np.concatenate([p / p.sum(axis=1, keepdims=True) for p in self._of_outputs(scores)], axis=1)


@dataclass(frozen=True)
class AverageRemainderLink(_AveragingLink):
    """As `AverageProbabilityLink`, but the first class of each output has what the others leave of 1.

    It saves a column, and keeps the ties of two classes, whose probabilities are rounded symmetrically. A tie of three
    classes would be broken: a third, rounded, is not what two of them leave of 1.

    Parameters
    ----------
    n_trees : int, default=1
        Divisor of the sums.
    class_counts : tuple of int
        Number of classes of each output. One of ``k`` classes owns ``k - 1`` score columns, those of the classes 1 to
        ``k - 1``.
    """

    name: ClassVar[str] = "average_proba"
    n_trees: int = 1
    class_counts: tuple[int, ...] = ()

    def apply(self, scores: np.ndarray) -> np.ndarray:
        mean = scores / self.n_trees
        columns, start = [], 0
        for n_classes in self.class_counts:
            others = mean[:, start : start + n_classes - 1]
            columns += [1.0 - others.sum(axis=1, keepdims=True), others]
            start += n_classes - 1
        return np.concatenate(columns, axis=1)
