"""Scores of the encrypted model against those of the float model."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._estimators import predictions_from_sums, predictions_of_float_model, require_compiled, unwrap
from ._plotting import new_axes


class AgreementDisplay:
    """Difference of encrypted and float scores, over the float score.

    Parameters
    ----------
    float_scores, encrypted_scores : ndarray of shape (n_samples,) or (n_samples, n_columns)
        Probabilities, values or what ``decision_function`` returns.
    name : str, default=None
        The name in the title.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    points_ : matplotlib collection

    Examples
    --------
    >>> from fhe_estimators.inspection import AgreementDisplay
    >>> display = AgreementDisplay.from_predictions([0.1, 0.5, 0.9], [0.1, 0.5, 0.9001], name="clf")
    >>> display.ax_.get_title()
    'clf: largest difference 1.0e-04'
    """

    def __init__(self, float_scores: np.ndarray, encrypted_scores: np.ndarray, *, name: str | None = None):
        self.float_scores = float_scores
        self.encrypted_scores = encrypted_scores
        self.name = name

    def plot(self, ax: Any = None, **scatter_kw: Any) -> AgreementDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **scatter_kw
            For ``ax.scatter``.

        Returns
        -------
        display : AgreementDisplay
            The display, with the attributes that plotting sets.
        """
        ax = new_axes(ax)
        floats, encrypted = np.ravel(self.float_scores), np.ravel(self.encrypted_scores)
        difference = encrypted - floats
        self.points_ = ax.scatter(floats, difference, **{"s": 12, "alpha": 0.6, **scatter_kw})
        largest = float(np.abs(difference).max(initial=0.0))
        for sign in (-1, 1):
            ax.axhline(sign * largest, color="0.5", linestyle="--", linewidth=1)
        ax.axhline(0, color="0.5", linewidth=1)
        ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        ax.set(xlabel="score of the float model", ylabel="encrypted minus float score")
        ax.set_title(f"{self.name + ': ' if self.name else ''}largest difference {largest:.1e}", fontsize="medium")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, *, fhe: str = "execute", ax: Any = None, **scatter_kw: Any
    ) -> AgreementDisplay:
        """Score rows and draw.

        Parameters
        ----------
        estimator : estimator
            An estimator of this library, or a pipeline or search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        fhe : {"disable", "simulate", "execute"}, default="execute"
            The mode in which the rows are scored.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **scatter_kw
            For ``ax.scatter``.

        Returns
        -------
        display : AgreementDisplay
            The display, with the attributes that plotting sets.
        """
        estimator, X = unwrap(estimator, X)
        if fhe != "disable":
            require_compiled(estimator, f"AgreementDisplay with fhe={fhe!r}")
        sums = estimator.sum_leaves(estimator.quantize(X), fhe)
        encrypted = predictions_from_sums(estimator, sums)
        floats = predictions_of_float_model(estimator, X)
        return cls.from_predictions(floats.scores, encrypted.scores, name=type(estimator).__name__, ax=ax, **scatter_kw)

    @classmethod
    def from_predictions(
        cls, float_scores: Any, encrypted_scores: Any, *, name: str | None = None, ax: Any = None, **scatter_kw: Any
    ) -> AgreementDisplay:
        """Draw scores that are there already.

        Parameters
        ----------
        float_scores, encrypted_scores : array-like of shape (n_samples,) or (n_samples, n_columns)
            Scores in arrays of equal shapes.
        name : str, default=None
            The name in the title.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **scatter_kw
            For ``ax.scatter``.

        Returns
        -------
        display : AgreementDisplay
            The display, with the attributes that plotting sets.
        """
        float_scores, encrypted_scores = np.asarray(float_scores), np.asarray(encrypted_scores)
        if float_scores.shape != encrypted_scores.shape:
            raise ValueError(
                f"float_scores and encrypted_scores differ in shape: {float_scores.shape}, {encrypted_scores.shape}."
            )
        return cls(float_scores, encrypted_scores, name=name).plot(ax, **scatter_kw)
