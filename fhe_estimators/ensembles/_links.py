"""Link functions: how decrypted scores become predictions, on the data owner's side.

The server only ever sums leaf values. Everything non-linear (sigmoid, softmax, the average of a
forest and its class probabilities, the anomaly score of an isolation forest) is applied here, in
the clear, after decryption.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax


@dataclass(frozen=True)
class Link:
    """Name and parameters of a link function; plain data, so that it can be stored as JSON.

    Parameters
    ----------
    name : str
        ``"identity"``, ``"exp"``, ``"expit"`` (regression), ``"average"`` (regression forests),
        ``"sigmoid"`` (binary margin), ``"softmax"``, ``"ovr"`` (multi-class, one sigmoid a class
        that need not sum to 1), ``"average_proba"`` (classification trees and forests) or ``"isolation"``.
    n_trees : int, default=1
        Divisor of the averages.
    class_counts : tuple of int, default=()
        Number of classes of each output, for ``"average_proba"``. An output with ``k`` classes owns
        ``k - 1`` score columns, those of the classes 1 to ``k - 1``: class 0 has what is left.
    positive_on_tie : bool, default=False
        Whether a binary margin of exactly 0 means the second class.
    divisor : float, default=1.0
        Of the margin, for ``"sigmoid"`` and ``"ovr"``; for ``"isolation"`` see ``offset``.
    offset : float, default=0.0
        For ``"isolation"``: ``-2 ** (-score / divisor) - offset``.
    """

    name: str
    n_trees: int = 1
    class_counts: tuple[int, ...] = ()
    positive_on_tie: bool = False
    divisor: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in LINKS:
            raise ValueError(f"Unknown link {self.name!r}. Known links: {sorted(LINKS)}.")

    @property
    def is_classifier(self) -> bool:
        """Whether scores become probabilities of classes."""
        return self.name in ("sigmoid", "softmax", "ovr", "average_proba")

    def apply(self, scores: np.ndarray) -> np.ndarray:
        """Predictions of regressors and outlier detectors, probabilities of classifiers.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.

        Returns
        -------
        predictions : ndarray of shape (n_rows, n_outputs) or (n_rows, n_probabilities)
            As many probabilities as all outputs have classes.
        """
        return LINKS[self.name](self, scores)

    def class_indices(self, scores: np.ndarray) -> np.ndarray:
        """Index of the predicted class of each output; ties are broken as the source library breaks them.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.

        Returns
        -------
        indices : ndarray of shape (n_rows, n_outputs)
            From 0.
        """
        if self.name == "sigmoid":
            margin = scores[:, :1]
            return (margin >= 0 if self.positive_on_tie else margin > 0).astype(np.intp)
        if self.name == "average_proba":
            return np.column_stack([p.argmax(axis=1) for p in self._split_outputs(self.apply(scores))])
        return scores.argmax(axis=1)[:, None]

    def labels(self, scores: np.ndarray, classes: np.ndarray | list[np.ndarray]) -> np.ndarray:
        """Predicted labels.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.
        classes : ndarray of shape (n_classes,), or a list of them
            Labels by index; a list, one an output, for multi-output models.

        Returns
        -------
        labels : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            With a column for each output if `classes` is a list.
        """
        indices = self.class_indices(scores)
        if not isinstance(classes, list):
            return classes[indices[:, 0]]
        return np.column_stack([of_output[column] for of_output, column in zip(classes, indices.T, strict=True)])

    def probabilities(self, scores: np.ndarray) -> np.ndarray | list[np.ndarray]:
        """Class probabilities.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.

        Returns
        -------
        probabilities : ndarray of shape (n_rows, n_classes), or a list of them
            A list if there are several outputs.
        """
        proba = self.apply(scores)
        return self._split_outputs(proba) if len(self.class_counts) > 1 else proba

    def values(self, scores: np.ndarray) -> np.ndarray:
        """Predictions of regressors and outlier detectors.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.

        Returns
        -------
        values : ndarray of shape (n_rows,) or (n_rows, n_outputs)
            One-dimensional if there is one output.
        """
        values = self.apply(scores)
        return values[:, 0] if values.shape[1] == 1 else values

    def decision(self, scores: np.ndarray) -> np.ndarray:
        """Confidence scores, in scikit-learn's shapes.

        Parameters
        ----------
        scores : ndarray of shape (n_rows, n_scores)
            From `evaluate`, or decrypted.

        Returns
        -------
        confidences : ndarray of shape (n_rows,) if binary, else (n_rows, n_classes)
            Margins of boosted trees; for average-probability models the difference between the two class
            probabilities, or the probabilities themselves with more than two classes; of an isolation forest the
            distance from the border.
        """
        if self.name == "isolation":
            return self.values(scores)
        if self.name == "average_proba":
            proba = self.apply(scores)
            return proba[:, 1] - proba[:, 0] if proba.shape[1] == 2 else proba
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _split_outputs(self, proba: np.ndarray) -> list[np.ndarray]:
        return np.split(proba, np.cumsum(self.class_counts)[:-1], axis=1)


def _average_proba(link: Link, scores: np.ndarray) -> np.ndarray:
    mean = scores / link.n_trees
    columns, start = [], 0
    for n_classes in link.class_counts:
        others = mean[:, start : start + n_classes - 1]
        columns += [1.0 - others.sum(axis=1, keepdims=True), others]
        start += n_classes - 1
    return np.concatenate(columns, axis=1)


def _sigmoid(link: Link, scores: np.ndarray) -> np.ndarray:
    p = expit(scores[:, :1] / link.divisor)
    return np.concatenate([1.0 - p, p], axis=1)


LINKS: dict[str, Callable[[Link, np.ndarray], np.ndarray]] = {
    "identity": lambda link, s: s,
    "exp": lambda link, s: np.exp(s),
    "expit": lambda link, s: expit(s),
    "average": lambda link, s: s / link.n_trees,
    "sigmoid": _sigmoid,
    "softmax": lambda link, s: softmax(s, axis=1),
    "ovr": lambda link, s: expit(s / link.divisor),
    "average_proba": _average_proba,
    "isolation": lambda link, s: -np.exp2(-s / link.divisor) - link.offset,
}
