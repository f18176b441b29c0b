"""Lossless quantizer: the bins are the model's own thresholds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..ensembles import TreeEnsemble
from ._base import FeatureQuantizer


class ThresholdQuantizer(FeatureQuantizer):
    """Quantize each feature into the intervals between an ensemble's split thresholds.

    Two rows with the same codes take the same path through every tree, so nothing is lost: the
    quantized model equals the float model on every input, values on thresholds included.

    Parameters
    ----------
    ensemble : TreeEnsemble, default=None
        The float ensemble whose thresholds are used.

    Attributes
    ----------
    edges_ : list of n_features ndarrays
        An edge ``e`` stands for the test ``x > e``. A strict threshold ``x < t`` is stored as the
        largest number of the input type below ``t``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from fhe_estimators.ensembles import ensemble_from_model
    >>> from fhe_estimators.quantizers import ThresholdQuantizer
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=2, max_features=1, random_state=0).fit(X, y)
    >>> quantizer = ThresholdQuantizer(ensemble_from_model(tree)).fit()
    >>> [edges.round(2).tolist() for edges in quantizer.edges_]
    [[], [3.35, 3.85], [4.75], []]
    >>> quantizer.transform(X[:1])  # 5.1, 3.5, 1.4, 0.2
    array([[0, 1, 0, 0]], dtype=int32)
    """

    name = "threshold"
    trains_on_bins = False
    client_learns = (
        "the set of (feature, threshold) pairs; of the trees' structure and leaves, what scores tell (those of bits "
        "that no row has, which a client may encrypt, included)"
    )

    def __init__(self, ensemble: TreeEnsemble | None = None):
        self.ensemble = ensemble

    def fit(self, X: Any = None, y: Any = None) -> ThresholdQuantizer:
        """Read the edges off the ensemble.

        Parameters
        ----------
        X, y : None, default=None
            Ignored.

        Returns
        -------
        self : ThresholdQuantizer
            Fitted.
        """
        if not isinstance(self.ensemble, TreeEnsemble):
            raise ValueError(
                "ThresholdQuantizer needs ensemble=, a TreeEnsemble (see ensemble_from_model); "
                f"got {self.ensemble!r}. Use UniformQuantizer or QuantileQuantizer to bin data without a model."
            )
        tests, inner = _right_edges(self.ensemble), ~self.ensemble.is_leaf
        self.n_features_in_ = self.ensemble.n_features
        self.input_dtype_ = self.ensemble.input_dtype
        self.edges_ = [np.unique(tests[inner & (self.ensemble.feature == j)]) for j in range(self.n_features_in_)]
        self.set_encoding(self.ensemble.encoding)
        return self

    def quantize_thresholds(self, ensemble: TreeEnsemble) -> TreeEnsemble:
        tests = _right_edges(ensemble)
        codes = np.zeros(ensemble.n_nodes, dtype=np.int32)
        for j, edges in enumerate(self.edges_):
            nodes = np.flatnonzero(ensemble.feature == j)
            codes[nodes] = np.searchsorted(edges, tests[nodes])
            if len(nodes) and not (codes[nodes].max() < len(edges) and np.all(edges[codes[nodes]] == tests[nodes])):
                raise ValueError("The ensemble has thresholds this ThresholdQuantizer was not fitted on.")
        return replace(ensemble, threshold=codes, strict=False, encoding=None)


def _right_edges(ensemble: TreeEnsemble) -> np.ndarray:
    """Numbers ``e`` of shape (n_nodes,), float64, such that a row goes right iff ``x > e``."""
    if not ensemble.strict:
        return ensemble.threshold
    typed = ensemble.threshold.astype(ensemble.input_dtype)
    with np.errstate(over="ignore"):  # below the smallest finite number comes -inf, as it should
        return np.nextafter(typed, typed.dtype.type(-np.inf)).astype(np.float64)
