"""Decrypted scores as what a person wants to know: prediction, probabilities, margin, reasons (client side)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....ensembles.links import ClassificationLink, IsolationLink
from ...archive import ClientModel
from ..csv_rows import is_number

_REASONS = 12


class Results:
    """Scores of rows, read as the model means them.

    Parameters
    ----------
    model : ClientModel
        What the client archive holds.
    names : list of str
        Of the features.
    scores : ndarray of shape (n_samples, n_scores)
        Decrypted.
    contributions : ndarray of shape (n_samples, n_scores, n_features + 1), default=None
        To the scores.
    """

    def __init__(
        self, model: ClientModel, names: list[str], scores: np.ndarray, contributions: np.ndarray | None = None
    ):
        self._link = model.link
        self._names, self._contributions = names, contributions
        #: Labels of each output of a classifier; empty for other models.
        self.classes: list[Any] = []
        self.probabilities: list[np.ndarray] = []
        self._indices: np.ndarray | None = None
        if isinstance(model.link, ClassificationLink):
            found = model.link.probabilities(scores)
            self.probabilities = found if isinstance(found, list) else [found]
            self.classes = model.classes if isinstance(model.classes, list) else [model.classes]
            self._indices = model.link.class_indices(scores)
        self.predictions = _two_dimensional(model.link.predict(scores, model.classes))
        self.margins = self._margins(scores)

    def _margins(self, scores: np.ndarray) -> np.ndarray | None:
        """How far from another prediction: between the best and the next score, or from the border of two sides."""
        if isinstance(self._link, IsolationLink):
            return np.abs(_two_dimensional(self._link.decision(scores)))
        if not self.classes or min(len(of_output) for of_output in self.classes) < 2:
            return None
        if len(self.classes) > 1:
            return np.column_stack([_lead(of_output) for of_output in self.probabilities])
        decision = self._link.decision(scores)
        return _two_dimensional(np.abs(decision) if decision.ndim == 1 else _lead(decision))

    def columns(self) -> dict[str, np.ndarray]:
        """The table of scores, by the names that ``fhe-estimators predict`` gives its columns."""
        several = self.predictions.shape[1] > 1
        found: dict[str, np.ndarray] = {}
        for output in range(self.predictions.shape[1]):
            found[f"prediction_{output}" if several else "prediction"] = _safe_labels(self.predictions[:, output])
        for output, (labels, of_output) in enumerate(zip(self.classes, self.probabilities, strict=True)):
            prefix = f"{output}_" if several else ""
            found |= {f"probability_{prefix}{label}": of_output[:, j] for j, label in enumerate(labels)}
        if self.margins is not None:
            for output in range(self.margins.shape[1]):
                found[f"margin_{output}" if self.margins.shape[1] > 1 else "margin"] = self.margins[:, output]
        if self._contributions is not None:
            n_scores = self._contributions.shape[1]
            for score in range(n_scores):
                prefix = f"{score}_" if n_scores > 1 else ""
                for j, name in enumerate([*self._names, "of no feature"]):
                    found[f"contribution_{prefix}{name}"] = self._contributions[:, score, j]
        return found

    def row(self, row: int) -> dict[str, Any]:
        """What the page shows of a row: plain values."""
        return {
            "predictions": [_plain(value) for value in self.predictions[row]],
            "probabilities": [
                [[_plain(label), float(value)] for label, value in zip(labels, of_output[row], strict=True)]
                for labels, of_output in zip(self.classes, self.probabilities, strict=True)
            ],
            "margins": None if self.margins is None else [float(value) for value in self.margins[row]],
            "reasons": self._reasons(row),
        }

    def _reasons(self, row: int) -> list[dict[str, Any]]:
        """Contributions to the scores that decide, the largest first."""
        if self._contributions is None:
            return []
        found = []
        for title, score in self._deciding(row):
            values = self._contributions[row, score]
            order = np.argsort(-np.abs(values[:-1]), kind="stable")
            shown = [j for j in order[:_REASONS] if values[j] != 0]
            rest = float(values[:-1].sum() - values[shown].sum())
            found.append(
                {
                    "to": title,
                    "features": [[self._names[j], float(values[j])] for j in shown],
                    "other_features": rest if len(values) - 1 > _REASONS else None,
                    "of_no_feature": float(values[-1]),
                    "sum": float(values.sum()),
                }
            )
        return found

    def _deciding(self, row: int) -> list[tuple[str, int]]:
        """Titles and numbers of the scores that a row's predictions go by."""
        assert self._contributions is not None
        n_scores, n_outputs = self._contributions.shape[1], self.predictions.shape[1]
        if self._indices is None:
            return [(f"value {j}" if n_scores > 1 else "value", j) for j in range(n_scores)]
        found, first = [], 0
        # two classes share a score, that of the second; more have one each
        widths = [1 if n_scores == n_outputs else len(of_output) for of_output in self.classes]
        for output, (labels, width) in enumerate(zip(self.classes, widths, strict=True)):
            index = min(1, len(labels) - 1) if width == 1 else int(self._indices[row, output])
            of = f" of output {output}" if n_outputs > 1 else ""
            found.append((f"class {labels[index]}{of}", first + (0 if width == 1 else index)))
            first += width
        return found


def _lead(scores: np.ndarray) -> np.ndarray:
    if scores.shape[1] < 2:
        return np.zeros(len(scores))
    ordered = np.sort(scores, axis=1)
    return ordered[:, -1] - ordered[:, -2]


def _two_dimensional(values: np.ndarray) -> np.ndarray:
    return values[:, None] if values.ndim == 1 else values


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (int, float, bool)) else str(value)


def _safe_labels(labels: np.ndarray) -> np.ndarray:
    """Labels for a file: texts that a spreadsheet would run as a formula get an apostrophe."""
    if labels.dtype.kind in "biuf":
        return labels
    return np.array([_safe_cell(str(label)) for label in labels], dtype=object)


def _safe_cell(text: str) -> str:
    """A text of the service's that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number(text) else text
