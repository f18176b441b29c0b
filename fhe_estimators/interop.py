"""To and from Concrete ML.

Concrete ML 1.9 pins scikit-learn 1.5.0 and other versions exactly. Install this library beside it with
``pip install --no-deps fhe-estimators`` and ``pip install tenseal safetensors``: importing models, compiling them and
encrypted predictions work there; training with this library wants a current scikit-learn.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import is_classifier

from .estimators import FHEClassifier, FHERegressor
from .exceptions import UnsupportedModelError
from .utils import import_optional

__all__ = ["from_concrete_ml", "to_concrete_ml"]


def from_concrete_ml(model: Any, X: Any = None, **params: Any) -> FHEClassifier | FHERegressor:
    """Take over a fitted tree model of Concrete ML.

    Parameters
    ----------
    model : estimator
        A fitted decision tree, random forest or XGBoost model of ``concrete.ml.sklearn``; it need not be compiled.
    X : array-like of shape (n_samples, n_features), default=None
        Rows like those of the training set: gives feature names (a DataFrame) and is checked against the model.
    **params
        Parameters of `FHEClassifier` or `FHERegressor`, as ``backend``.

    Returns
    -------
    estimator : FHEClassifier or FHERegressor
        Ready to `compile`. Every comparison is that of the model, its quantization of features included; leaves are not
        rounded, as Concrete ML does, so probabilities are those of ``model.sklearn_model``.

    Raises
    ------
    UnsupportedModelError
        If the model is no fitted tree model.
    """
    wrapper = FHEClassifier if is_classifier(model) else FHERegressor
    return wrapper.from_fitted(model, X, **params)


def to_concrete_ml(estimator: Any, X: Any, n_bits: int = 6) -> Any:
    """A model of Concrete ML with the trees of a fitted estimator.

    Parameters
    ----------
    estimator : estimator
        One of this library's with ``quantizer="threshold"``, or a fitted tree model of scikit-learn or XGBoost.
    X : array-like of shape (n_samples, n_features)
        Rows like those of the training set, for Concrete ML's quantization.
    n_bits : int, default=6
        The bits of features and leaves. Concrete ML rounds thresholds to them: predictions differ where that matters.

    Returns
    -------
    model : estimator of ``concrete.ml.sklearn``
        Fitted; not compiled.

    Raises
    ------
    BackendNotAvailableError
        If Concrete ML is not installed.
    UnsupportedModelError
        If Concrete ML has no such model.
    """
    quantizer = getattr(estimator, "quantizer_", None)
    if quantizer is not None and quantizer.trains_on_bins:
        raise UnsupportedModelError(
            "The trees of this estimator take bins, not features. Fit it with quantizer='threshold' to convert it."
        )
    fitted = getattr(estimator, "estimator_", estimator)
    models = import_optional("concrete.ml.sklearn", package="concrete-ml", purpose="to_concrete_ml")
    counterpart = getattr(models, type(fitted).__name__, None)
    if counterpart is None:
        raise UnsupportedModelError(f"Concrete ML has no counterpart of {type(fitted).__name__}.")
    return counterpart.from_sklearn_model(fitted, X, n_bits=n_bits)
