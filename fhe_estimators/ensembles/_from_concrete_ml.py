"""Importer of Concrete ML's tree models: their trees compare quantized features, ours the features themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..exceptions import UnsupportedModelError
from ._ensemble import TreeEnsemble


def import_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Import a fitted tree model of Concrete ML.

    Every comparison ``quantize(x) > t`` becomes ``x > e`` with the largest float64 ``e`` that is quantized to no more
    than ``t``: exactly the same for every ``x``. Leaves are taken over before Concrete ML rounds them.
    """
    from ._importers import ensemble_from_model  # which called this one

    trees, quantizers = getattr(model, "sklearn_model", None), getattr(model, "input_quantizers", None)
    if trees is None or not quantizers:
        raise UnsupportedModelError(f"{type(model).__name__} is not a fitted tree model of Concrete ML.")
    ensemble = ensemble_from_model(trees)
    if len(quantizers) != ensemble.n_features:
        raise UnsupportedModelError(f"The model has {len(quantizers)} quantizers for {ensemble.n_features} features.")
    threshold = np.zeros(ensemble.n_nodes)
    for feature, quantizer in enumerate(quantizers):
        nodes = np.flatnonzero(ensemble.feature == feature)
        # Codes are integers: `code < t` is `code <= ceil(t) - 1`.
        largest_left = (np.ceil if ensemble.strict else lambda t: np.floor(t) + 1)(ensemble.threshold[nodes]) - 1
        threshold[nodes] = largest_inputs(quantizer.quant, largest_left)
    return replace(ensemble, threshold=threshold, strict=False, input_dtype="float64", allow_nan=False)


def largest_inputs(quantize: Callable[[np.ndarray], np.ndarray], codes: np.ndarray) -> np.ndarray:
    """Largest finite float64 that an increasing function maps to at most each code, by bisection over all of them."""
    low = np.full(len(codes), _to_key(-np.finfo(np.float64).max))
    high = np.full(len(codes), _to_key(np.finfo(np.float64).max))
    if (quantize(_from_key(low)) > codes).any() or (quantize(_from_key(high)) <= codes).any():
        raise UnsupportedModelError("The model has comparisons that no quantized value passes, or every one does.")
    while True:
        middle = low // 2 + high // 2 + (low % 2 + high % 2) // 2
        if (middle == low).all():
            return _from_key(low)
        below = quantize(_from_key(middle)) <= codes
        low, high = np.where(below, middle, low), np.where(below, high, middle)


def _to_key(value: Any) -> np.ndarray:
    """Integers in the order of floats."""
    bits = np.asarray(value, dtype=np.float64).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _from_key(key: np.ndarray) -> np.ndarray:
    return np.where(key >= 0, key, np.int64(-(2**63)) - key).view(np.float64)
