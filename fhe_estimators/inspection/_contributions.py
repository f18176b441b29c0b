"""Reasons for a prediction, as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._estimators import require_compiled, unwrap
from ._plotting import new_axes


class ContributionDisplay:
    """What features contribute to one score: bars from the average score to that of a sample.

    Parameters
    ----------
    contributions : ndarray of shape (n_features + 1,)
        Contributions of the features, and last what is credited to none, as ``predict_contributions`` returns them for
        a sample.
    feature_names : sequence of str of length n_features, default=None
        None stands for ``x0``, ``x1``, ...

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    bars_ : matplotlib BarContainer
        The largest contributions first, that of the remaining features last.

    Examples
    --------
    >>> from fhe_estimators.inspection import ContributionDisplay
    >>> display = ContributionDisplay([0.5, -0.2, 0.1, 1.0], ["age", "income", "savings"]).plot()
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['age', 'income', 'savings']
    """

    def __init__(self, contributions: Any, feature_names: Sequence[str] | None = None):
        self.contributions = contributions
        self.feature_names = feature_names

    def plot(self, ax: Any = None, *, max_features: int = 10, **bar_kw: Any) -> ContributionDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        max_features : int, default=10
            Features with a bar of their own; the others share one.
        **bar_kw
            For ``ax.barh``.

        Returns
        -------
        display : ContributionDisplay
            The display, with the attributes that plotting sets.
        """
        contributions = np.asarray(self.contributions, dtype=np.float64)
        if contributions.ndim != 1 or len(contributions) < 2:
            raise ValueError(
                f"contributions must be those of one sample and score, shape (n_features + 1,), got shape "
                f"{contributions.shape}."
            )
        *of_features, base = contributions
        names = [f"x{i}" for i in range(len(of_features))] if self.feature_names is None else list(self.feature_names)
        if len(names) != len(of_features):
            raise ValueError(f"feature_names has {len(names)} names for {len(of_features)} features.")
        if max_features < 1:
            raise ValueError(f"max_features must be at least 1, got {max_features}.")
        order = np.argsort(-np.abs(of_features), kind="stable")
        lengths = [of_features[i] for i in order[:max_features]]
        labels = [str(names[i]) for i in order[:max_features]]
        if len(order) > max_features:
            lengths.append(sum(of_features[i] for i in order[max_features:]))
            labels.append(f"{len(order) - max_features} others")
        starts = base + np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
        colors = ["C3" if length > 0 else "C0" for length in lengths]
        ax = new_axes(ax)
        self.bars_ = ax.barh(range(len(lengths)), lengths, left=starts, **{"color": colors, **bar_kw})
        ax.bar_label(self.bars_, [f"{length:+.2g}" for length in lengths], padding=3, fontsize="small")
        ax.axvline(base, color="0.5", linestyle="--", linewidth=1, label=f"average {base:.3g}")
        score = float(contributions.sum())
        ax.axvline(score, color="0.2", linewidth=1, label=f"this sample {score:.3g}")
        ax.set_yticks(range(len(labels)), labels)
        ax.invert_yaxis()
        ax.use_sticky_edges = False  # room for the labels, though bars begin at the edge
        ax.margins(x=0.15)
        ax.set_xlabel("score")
        ax.legend(fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        score: int = 0,
        fhe: str = "execute",
        max_features: int = 10,
        ax: Any = None,
        **bar_kw: Any,
    ) -> ContributionDisplay:
        """Score one sample and draw.

        Parameters
        ----------
        estimator : classifier or regressor
            One of this library, or a pipeline or search that ends in one.
        X : array-like of shape (1, n_features)
            The sample.
        score : int, default=0
            Which score, where a model has several (classes or outputs).
        fhe : {"disable", "simulate", "execute"}, default="execute"
            The mode in which the sample is scored.
        max_features : int, default=10
            Features with a bar of their own; the others share one.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **bar_kw
            For ``ax.barh``.

        Returns
        -------
        display : ContributionDisplay
            The display, with the attributes that plotting sets.
        """
        estimator, X = unwrap(estimator, X)
        if fhe != "disable":
            require_compiled(estimator, f"ContributionDisplay with fhe={fhe!r}")
        contributions = estimator.predict_contributions(X, fhe=fhe)
        if len(contributions) != 1:
            raise ValueError(f"X must be one sample, got {len(contributions)}.")
        of_scores = contributions.reshape(-1, contributions.shape[-1])
        if not 0 <= score < len(of_scores):
            raise ValueError(f"score={score} is out of range: the model has {len(of_scores)} scores.")
        names = getattr(estimator, "feature_names_in_", None)
        return cls(of_scores[score], names).plot(ax, max_features=max_features, **bar_kw)
