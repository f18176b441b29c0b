"""A metric against the number of bits of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from ..quantizers import resolve_quantizer
from ._plotting import new_axes

_FLOAT_MODEL = "float model"


class QuantizationCurveDisplay:
    """A cross-validated metric against ``n_bits``, beside the float model's.

    Parameters
    ----------
    n_bits : ndarray of int, shape (n_points,)
        Bits per feature.
    scores : ndarray of shape (n_points, n_folds)
        The scores of models that train on bins.
    float_scores : ndarray of shape (n_folds,)
        The scores of models that train on the features themselves.
    score_name : str
        The label of the axis.
    quantizer_name : str, default=None
        The name in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.inspection import QuantizationCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=3, random_state=0)
    >>> display = QuantizationCurveDisplay.from_estimator(clf, X, y, n_bits=[1, 4], cv=3)
    >>> display.scores.mean(axis=1).round(2)
    array([0.8 , 0.96])
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
            The axes to draw on; None stands for those of a new figure.
        **errorbar_kw
            For ``ax.errorbar``.

        Returns
        -------
        display : QuantizationCurveDisplay
            The display, with the attributes that plotting sets.
        """
        ax = new_axes(ax)
        settings = {"marker": "o", "capsize": 3, "label": self.quantizer_name, **errorbar_kw}
        line = ax.errorbar(self.n_bits, self.scores.mean(axis=1), self.scores.std(axis=1), **settings)[0]
        known = ax.get_legend_handles_labels()[1]
        label = None if _FLOAT_MODEL in known else _FLOAT_MODEL
        ax.axhline(self.float_scores.mean(), color=line.get_color(), linestyle="--", label=label)
        ax.set(xlabel="bits per feature", ylabel=self.score_name, xticks=self.n_bits)
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
            An estimator of this library, which need not be fitted. Its own quantizer is replaced.
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            Targets.
        n_bits : sequence of int, default=range(1, 10)
            Bits per feature.
        quantizer : {"uniform", "quantile"}, default="uniform"
            The quantizer, which decides how bins are cut.
        scoring : str, default=None
            None stands for accuracy, or R2.
        cv : int, cross-validation generator or iterable, default=5
            The folds, as in `sklearn.model_selection.cross_val_score`.
        n_jobs : int, default=None
            Processes over folds.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **errorbar_kw
            For ``ax.errorbar``.

        Returns
        -------
        display : QuantizationCurveDisplay
            The display, with the attributes that plotting sets.
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
