"""Loss curves of fine-tuning, and where the time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._plotting import new_axes

_PHASES = ("client_crypto", "client_model", "worker", "transfer")


class FineTuningDisplay:
    """Losses of one or more runs, or the seconds of their steps by phase.

    Parameters
    ----------
    histories : dict of str to list of dict
        ``history_`` of fine-tuners, by name.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from fhe_estimators.inspection import FineTuningDisplay
    >>> histories = {"encrypted": [{"loss": 2.0}, {"loss": 1.5}], "clear": [{"loss": 2.0}, {"loss": 1.5}]}
    >>> display = FineTuningDisplay.from_histories(histories)
    >>> [line.get_label() for line in display.ax_.lines]
    ['encrypted', 'clear']
    """

    def __init__(self, histories: Mapping[str, Sequence[Mapping[str, Any]]]):
        self.histories = histories

    def plot(self, ax: Any = None, *, kind: str = "loss", smooth: int = 1, **kw: Any) -> FineTuningDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        kind : {"loss", "seconds"}, default="loss"
            A line a run; or a bar a run, of the median seconds of a step by phase.
        smooth : int, default=1
            Steps of a moving mean of the losses.
        **kw
            For ``ax.plot`` or ``ax.barh``.

        Returns
        -------
        display : FineTuningDisplay
            The display, with the attributes that plotting sets.
        """
        if kind not in ("loss", "seconds"):
            raise ValueError(f"kind={kind!r} is unknown: use 'loss' or 'seconds'.")
        ax = new_axes(ax)
        if kind == "loss":
            self._plot_losses(ax, max(1, smooth), kw)
        else:
            self._plot_seconds(ax, kw)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_losses(self, ax: Any, smooth: int, kw: dict[str, Any]) -> None:
        for name, history in self.histories.items():
            losses = np.array([entry["loss"] for entry in history], dtype=np.float64)
            window = min(smooth, len(losses))
            mean = np.convolve(losses, np.ones(window) / window, "valid")
            ax.plot(np.arange(window, len(losses) + 1), mean, **{"label": name, **kw})
        ax.set(xlabel="step", ylabel="loss")
        ax.grid(alpha=0.3)
        ax.legend()

    def _plot_seconds(self, ax: Any, kw: dict[str, Any]) -> None:
        names, left = list(self.histories), np.zeros(len(self.histories))
        for phase in _PHASES:
            # The first step computes and fetches hints: it is not like the others.
            steps = [(history[1:] or history) for history in self.histories.values()]
            seconds = np.array([np.median([entry[f"{phase}_seconds"] for entry in history]) for history in steps])
            ax.barh(names, seconds, left=left, **{"label": phase.replace("_", " "), **kw})
            left += seconds
        ax.set(xlabel="seconds of a step (median)")
        ax.invert_yaxis()
        ax.legend()

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, kind: str = "loss", smooth: int = 1, ax: Any = None, **kw: Any
    ) -> FineTuningDisplay:
        """Draw the history of a fitted `HELoRAFineTuner`.

        Parameters
        ----------
        estimator : HELoRAFineTuner
            Fitted.
        kind : {"loss", "seconds"}, default="loss"
            A line a run; or a bar a run, of the median seconds of a step by phase.
        smooth : int, default=1
            Steps of a moving mean of the losses.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **kw
            For ``ax.plot`` or ``ax.barh``.

        Returns
        -------
        display : FineTuningDisplay
            The display, with the attributes that plotting sets.
        """
        check_is_fitted(estimator, "history_")
        return cls({type(estimator).__name__: estimator.history_}).plot(ax, kind=kind, smooth=smooth, **kw)

    @classmethod
    def from_histories(
        cls,
        histories: Mapping[str, Sequence[Mapping[str, Any]]],
        *,
        kind: str = "loss",
        smooth: int = 1,
        ax: Any = None,
        **kw: Any,
    ) -> FineTuningDisplay:
        """Draw histories by name.

        Parameters
        ----------
        histories : dict of str to list of dict
            ``history_`` of fine-tuners, by name.
        kind : {"loss", "seconds"}, default="loss"
            A line a run; or a bar a run, of the median seconds of a step by phase.
        smooth : int, default=1
            Steps of a moving mean of the losses.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **kw
            For ``ax.plot`` or ``ax.barh``.

        Returns
        -------
        display : FineTuningDisplay
            The display, with the attributes that plotting sets.
        """
        empty = [name for name, history in histories.items() if not history]
        if empty or not histories:
            raise ValueError(f"histories must not be empty: {empty or 'there are none'}.")
        return cls(histories).plot(ax, kind=kind, smooth=smooth, **kw)
