"""Noise of approximate encryption: predicted and measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backends import resolve_backend
from ._estimators import require_compiled, unwrap
from ._plotting import new_axes


class NoiseBudgetDisplay:
    """Errors that the client rounds away, beside the prediction and what rounding can bear.

    Parameters
    ----------
    errors : ndarray
        Errors of decrypted sums of leaves, in integer steps.
    predicted_std : float
        Their standard deviation as predicted; parameters are chosen by it.
    limit : float, default=0.5
        Errors from which rounding would go wrong.

    Attributes
    ----------
    bits_left_ : float
        Bits by which the largest error stays below the limit.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from fhe_estimators.inspection import NoiseBudgetDisplay
    >>> display = NoiseBudgetDisplay.from_predictions([1e-5, -2e-5, 2**-11], predicted_std=2e-5)
    >>> display.bits_left_
    10.0
    """

    def __init__(self, errors: np.ndarray, predicted_std: float, *, limit: float = 0.5):
        self.errors = errors
        self.predicted_std = predicted_std
        self.limit = limit

    def plot(self, ax: Any = None, **hist_kw: Any) -> NoiseBudgetDisplay:
        """Draw a histogram of the errors' sizes on a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **hist_kw
            For ``ax.hist``.

        Returns
        -------
        display : NoiseBudgetDisplay
            The display, with the attributes that plotting sets.
        """
        ax = new_axes(ax)
        sizes = np.abs(np.ravel(self.errors))
        sizes = sizes[sizes > 0]
        if not len(sizes):
            raise ValueError("errors are all 0: this engine has no noise to show.")
        bins = np.geomspace(sizes.min(), 1.001 * sizes.max(), 40)
        ax.hist(sizes, **{"bins": bins, "label": "measured", "alpha": 0.7, **hist_kw})
        rms = float(np.sqrt(np.mean(sizes**2)))
        ax.axvline(rms, color="C0", linestyle=":", label=f"measured, root mean square: {rms:.1e}")
        ax.axvline(self.predicted_std, color="C1", label=f"predicted standard deviation: {self.predicted_std:.1e}")
        ax.axvline(self.limit, color="C3", label=f"rounding goes wrong: {self.limit:g}")
        self.bits_left_ = float(np.log2(self.limit / sizes.max()))
        ax.set(xscale="log", xlabel="error before rounding, in integer steps", ylabel="decrypted values")
        ax.set_title(f"{self.bits_left_:.1f} bits left", fontsize="medium")
        ax.legend(fontsize="small")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, *, ax: Any = None, **hist_kw: Any) -> NoiseBudgetDisplay:
        """Encrypt rows with new keys, evaluate, decrypt, and draw what rounding removed.

        Parameters
        ----------
        estimator : estimator
            Compiled, with ``backend="ckks"``, or with ``"auto"`` for an ensemble that ``ckks`` holds; or a pipeline or
            search that ends in one.
        X : array-like of shape (n_samples, n_features)
            Rows to encrypt.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **hist_kw
            For ``ax.hist``.

        Returns
        -------
        display : NoiseBudgetDisplay
            The display, with the attributes that plotting sets.
        """
        estimator, X = unwrap(estimator, X)
        require_compiled(estimator, "NoiseBudgetDisplay")
        backend, program = estimator.backend_, estimator.program_
        for name, part in program.programs.items():
            if "predicted_error_std" in part.describe():
                backend, program = resolve_backend(name), part
        client = backend.client(program.client_spec)
        if not hasattr(client, "rounding_errors"):
            raise ValueError(f"The {backend.name!r} backend has no noise that is rounded away: use backend='ckks'.")
        keys = client.generate_keys()
        request = client.encrypt(estimator.quantize(X))
        errors = client.rounding_errors(backend.evaluator(program).run(request, keys))
        return cls.from_predictions(errors, program.describe()["predicted_error_std"], ax=ax, **hist_kw)

    @classmethod
    def from_predictions(
        cls, errors: Any, predicted_std: float, *, limit: float = 0.5, ax: Any = None, **hist_kw: Any
    ) -> NoiseBudgetDisplay:
        """Draw errors that are there already.

        Parameters
        ----------
        errors : array-like
            Errors of decrypted sums of leaves, in integer steps.
        predicted_std : float
            Their standard deviation as predicted.
        limit : float, default=0.5
            Errors from which rounding would go wrong.
        ax : matplotlib Axes, default=None
            The axes to draw on; None stands for those of a new figure.
        **hist_kw
            For ``ax.hist``.

        Returns
        -------
        display : NoiseBudgetDisplay
            The display, with the attributes that plotting sets.
        """
        return cls(np.asarray(errors), predicted_std, limit=limit).plot(ax, **hist_kw)
