"""Decision boundaries of the encrypted and the float model in a plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.utils import check_array

from ._estimators import (
    predictions_from_sums,
    predictions_of_float_model,
    require_compiled,
    unwrap,
)
from ._plotting import new_axes


class DecisionBoundaryComparisonDisplay:
    """Regions of the encrypted model's labels, with the float model's boundaries drawn over them.

    Parameters
    ----------
    xx0, xx1 : ndarray of shape (resolution, resolution)
        The grid.
    encrypted, floats : ndarray of int, shape (resolution, resolution)
        Numbers of the classes predicted there.
    feature_names : tuple of str, default=("feature 0", "feature 1")
        The labels of the axes.

    Attributes
    ----------
    n_different : int
        Grid points with different labels.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    surface_ : matplotlib contour set

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.inspection import DecisionBoundaryComparisonDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=3, random_state=0).fit(X[:, 2:], y).compile()
    >>> DecisionBoundaryComparisonDisplay.from_estimator(clf, X[:, 2:], grid_resolution=20).n_different
    0
    """

    def __init__(
        self,
        xx0: np.ndarray,
        xx1: np.ndarray,
        encrypted: np.ndarray,
        floats: np.ndarray,
        *,
        feature_names: tuple[str, str] = ("feature 0", "feature 1"),
    ):
        self.xx0 = xx0
        self.xx1 = xx1
        self.encrypted = encrypted
        self.floats = floats
        self.feature_names = feature_names
        self.n_different = int((encrypted != floats).sum())

    def plot(self, ax: Any = None, **contour_kw: Any) -> DecisionBoundaryComparisonDisplay:
        """Draw; points where the labels differ are red.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **contour_kw
            For ``ax.pcolormesh``.

        Returns
        -------
        display : DecisionBoundaryComparisonDisplay
            The display, with the attributes that plotting sets.
        """
        ax = new_axes(ax)
        n_classes = int(max(self.encrypted.max(), self.floats.max())) + 1
        settings = {"cmap": "tab10" if n_classes > 2 else "coolwarm", "alpha": 0.4, "shading": "nearest", **contour_kw}
        self.surface_ = ax.pcolormesh(
            self.xx0, self.xx1, self.encrypted, vmin=0, vmax=max(n_classes - 1, 1), **settings
        )
        if np.ptp(self.floats):
            levels = np.arange(n_classes - 1) + 0.5
            ax.contour(self.xx0, self.xx1, self.floats, levels=levels, colors="k", linewidths=1, linestyles="--")
        different = self.encrypted != self.floats
        ax.plot(self.xx0[different], self.xx1[different], "r.", markersize=3)
        ax.set(xlabel=self.feature_names[0], ylabel=self.feature_names[1])
        differ = f"{self.n_different} of {self.encrypted.size:,} grid points differ"
        ax.set_title(f"regions: encrypted; dashed: float\n{differ}", fontsize="medium")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        fhe: str = "execute",
        grid_resolution: int = 60,
        margin: float = 0.05,
        ax: Any = None,
        **contour_kw: Any,
    ) -> DecisionBoundaryComparisonDisplay:
        """Predict a grid and draw.

        Parameters
        ----------
        estimator : estimator
            A classifier or outlier detector of this library with two features.
        X : array-like of shape (n_samples, 2)
            Gives the extent of the grid.
        fhe : {"disable", "simulate", "execute"}, default="execute"
            The mode in which the grid is predicted.
        grid_resolution : int, default=60
            Points a side; all are predicted.
        margin : float, default=0.05
            The part of the extent that is added on every side.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **contour_kw
            For ``ax.pcolormesh``.

        Returns
        -------
        display : DecisionBoundaryComparisonDisplay
            The display, with the attributes that plotting sets.
        """
        rows = check_array(X)
        if rows.shape[1] != 2:
            raise ValueError(f"X must have 2 features to be drawn in a plane, got {rows.shape[1]}.")
        names = (str(X.columns[0]), str(X.columns[1])) if hasattr(X, "columns") else ("feature 0", "feature 1")
        low, high = rows.min(axis=0), rows.max(axis=0)
        extent = margin * (high - low)
        sides = [np.linspace(a, b, grid_resolution) for a, b in zip(low - extent, high + extent, strict=True)]
        xx0, xx1 = np.meshgrid(*sides)
        grid: Any = np.column_stack([xx0.ravel(), xx1.ravel()])
        if hasattr(X, "columns"):
            grid = type(X)(grid, columns=X.columns)
        fitted, grid = unwrap(estimator, grid)
        if not (is_classifier(fitted) or is_outlier_detector(fitted)):
            raise ValueError("Boundaries are those of a classifier or an outlier detector.")
        if fhe != "disable":
            require_compiled(fitted, f"DecisionBoundaryComparisonDisplay with fhe={fhe!r}")
        codes = fitted.quantize(grid)
        encrypted = predictions_from_sums(fitted, fitted.sum_leaves(codes, fhe)).labels
        floats = predictions_of_float_model(fitted, grid).labels
        classes = np.unique(np.concatenate([encrypted, floats]))
        numbers = [np.searchsorted(classes, labels).reshape(xx0.shape) for labels in (encrypted, floats)]
        return cls(xx0, xx1, *numbers, feature_names=names).plot(ax, **contour_kw)
