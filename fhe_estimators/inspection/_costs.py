"""Time and bytes against rows, trees or depth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from ._estimators import unwrap
from ._phases import ONLINE_PHASES, measure_phases
from ._plotting import new_axes

_SIZES = ("key_bytes", "request_bytes", "response_bytes")
_X_LABELS = {"n_rows": "rows", "n_estimators": "trees", "max_depth": "depth"}


class CostDisplay:
    """Seconds by phase, or bytes of messages, against one size of the work.

    Parameters
    ----------
    param_name : str
        What varies: ``"n_rows"`` or a parameter of the estimator.
    values : ndarray of shape (n_points,)
        Its values.
    costs : list of dict
        At every point: seconds of ``"encrypt"``, ``"evaluate"`` and ``"decrypt"``, and ``"key_bytes"``,
        ``"request_bytes"`` and ``"response_bytes"``.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    lines_ : list of matplotlib lines

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.inspection import CostDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=2, backend="clear", random_state=0).fit(X, y).compile()
    >>> display = CostDisplay.from_estimator(clf, X, values=(1, 10), kind="bytes")
    >>> [line.get_label() for line in display.lines_]
    ['evaluation keys', 'request', 'response']
    """

    def __init__(self, param_name: str, values: np.ndarray, costs: list[dict[str, float]]):
        self.param_name = param_name
        self.values = values
        self.costs = costs

    def plot(self, ax: Any = None, *, kind: str = "seconds", **line_kw: Any) -> CostDisplay:
        """Draw on two logarithmic axes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        kind : {"seconds", "bytes"}, default="seconds"
            What is drawn.
        **line_kw
            For ``ax.plot``.

        Returns
        -------
        display : CostDisplay
            The display, with the attributes that plotting sets.
        """
        if kind not in ("seconds", "bytes"):
            raise ValueError(f"kind={kind!r} is unknown: use 'seconds' or 'bytes'.")
        ax = new_axes(ax)
        names = ONLINE_PHASES if kind == "seconds" else _SIZES
        self.lines_ = [
            ax.plot(
                self.values,
                [cost[name] for cost in self.costs],
                **{"marker": "o", "label": name.removesuffix("_bytes").replace("key", "evaluation keys"), **line_kw},
            )[0]
            for name in names
        ]
        ax.set(xlabel=_X_LABELS.get(self.param_name, self.param_name), ylabel=kind, xscale="log", yscale="log")
        ax.grid(alpha=0.3)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any = None,
        *,
        param_name: str = "n_rows",
        values: Sequence[int] = (1, 10, 100, 1000),
        kind: str = "seconds",
        repeat: int = 1,
        ax: Any = None,
        **line_kw: Any,
    ) -> CostDisplay:
        """Encrypt, evaluate and decrypt for every value, and draw.

        Parameters
        ----------
        estimator : estimator
            Compiled if ``param_name="n_rows"``; else clones are fitted.
        X : array-like of shape (n_samples, n_features)
            Rows; repeated where more are wanted.
        y : array-like of shape (n_samples,), default=None
            Targets, for clones.
        param_name : str, default="n_rows"
            ``"n_rows"``, or a parameter such as ``"n_estimators"`` or ``"max_depth"``.
        values : sequence of int, default=(1, 10, 100, 1000)
            The values that `param_name` takes.
        kind : {"seconds", "bytes"}, default="seconds"
            What is drawn.
        repeat : int, default=1
            Runs of every phase; medians are drawn.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **line_kw
            For ``ax.plot``.

        Returns
        -------
        display : CostDisplay
            The display, with the attributes that plotting sets.
        """
        costs = []
        for value in values:
            if param_name == "n_rows":
                fitted, rows = unwrap(estimator, _safe_indexing(X, np.arange(value) % len(X)))
            else:
                fitted, rows = clone(estimator).set_params(**{param_name: value}).fit(X, y).compile(), X
            phases = measure_phases(fitted, rows, repeat=repeat)
            costs.append(
                {phase: phases.median(phase) for phase in ONLINE_PHASES}
                | {name: getattr(phases, name) for name in _SIZES}
            )
        return cls(param_name, np.asarray(values), costs).plot(ax, kind=kind, **line_kw)
