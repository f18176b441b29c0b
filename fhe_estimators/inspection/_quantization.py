"""A metric against the number of bits of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from ..quantizers import resolve_quantizer
from ._plotting import new_axes


class QuantizationCurveDisplay:
    """A cross-validated metric against ``n_bits``, beside the float model's.

    Parameters
    ----------
    n_bits : ndarray of int, shape (n_points,)
    scores : ndarray of shape (n_points, n_folds)
    float_scores : ndarray of shape (n_folds,)
    score_name : str
    quantizer_name : str, default=None

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    """

    def __init__(
        self,
        n_bits: np.ndarray,
        scores: np.ndarray,
        float_scores: np.ndarray,
        *,
        score_name: str,
        quantizer_name: str | None = None,
    ):
        self.n_bits = n_bits
        self.scores = scores
        self.float_scores = float_scores
        self.score_name = score_name
        self.quantizer_name = quantizer_name

    def plot(self, ax: Any = None, **errorbar_kw: Any) -> QuantizationCurveDisplay:
        """Draw means, with standard deviations over folds.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
        **errorbar_kw
            For ``ax.errorbar``.
        """
        ax = new_axes(ax)
        settings = {"marker": "o", "capsize": 3, "label": self.quantizer_name, **errorbar_kw}
        line = ax.errorbar(self.n_bits, self.scores.mean(axis=1), self.scores.std(axis=1), **settings)[0]
        ax.axhline(self.float_scores.mean(), color=line.get_color(), linestyle="--", label="float model")
        ax.set(xlabel="bits a feature", ylabel=self.score_name, xticks=self.n_bits)
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bits: Sequence[int] = range(1, 10),
        quantizer: str = "uniform",
        scoring: str | None = None,
        cv: Any = 5,
        n_jobs: int | None = None,
        ax: Any = None,
        **errorbar_kw: Any,
    ) -> QuantizationCurveDisplay:
        """Cross-validate clones of an estimator with quantizers of different bits, in the clear.

        Parameters
        ----------
        estimator : estimator
            Of this library; need not be fitted. Its own quantizer is replaced.
        X : array-like of shape (n_rows, n_features)
        y : array-like of shape (n_rows,)
        n_bits : sequence of int, default=range(1, 10)
        quantizer : {"uniform", "quantile"}, default="uniform"
        scoring : str, default=None
            None: accuracy, or R2.
        cv, n_jobs
            As in `sklearn.model_selection.cross_val_score`.
        ax : matplotlib Axes, default=None
        **errorbar_kw
            For ``ax.errorbar``.
        """
        kind = type(resolve_quantizer(quantizer))

        def folds(candidate: Any) -> np.ndarray:
            model = clone(estimator).set_params(quantizer=candidate)
            return cross_val_score(model, X, y, scoring=scoring, cv=cv, n_jobs=n_jobs)

        if not resolve_quantizer(quantizer).trains_on_bins:
            raise ValueError(f"quantizer={quantizer!r} has no number of bits: use 'uniform' or 'quantile'.")
        display = cls(
            np.asarray(n_bits),
            np.stack([folds(kind(bits)) for bits in n_bits]),
            folds("threshold"),
            score_name=scoring or ("accuracy" if hasattr(estimator, "predict_proba") else "R2"),
            quantizer_name=kind.name,
        )
        return display.plot(ax, **errorbar_kw)
