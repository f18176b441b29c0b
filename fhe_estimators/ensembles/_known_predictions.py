"""Models are imported as their library's only if they predict as their library's."""

from __future__ import annotations

from typing import Any

from ..exceptions import UnsupportedModelError

#: Top-level packages whose ``predict`` and siblings the importers reproduce.
_KNOWN_LIBRARIES = ("sklearn", "xgboost", "lightgbm", "catboost", "concrete", "fhe_estimators")
_METHODS = ("predict", "predict_proba", "decision_function")


def check_predictions_are_known(model: Any) -> None:
    """Refuse a model that computes its predictions in a way of its own.

    A subclass may make anything of its trees (quantiles, survival curves); imported as its base class, it would be
    silently wrong.

    Parameters
    ----------
    model : estimator
        Fitted.

    Raises
    ------
    UnsupportedModelError
        If a predicting method is defined elsewhere than in a library that the importers know.
    """
    for name in _METHODS:
        if name in vars(model):
            raise UnsupportedModelError(f"This {type(model).__name__} has a {name} of its own, set on the object.")
        for cls in type(model).__mro__:
            if name not in vars(cls):
                continue
            if cls.__module__.partition(".")[0] not in _KNOWN_LIBRARIES:
                raise UnsupportedModelError(
                    f"{cls.__module__}.{cls.__name__} defines a {name} of its own, which an import of its trees would "
                    "not reproduce: use the class of scikit-learn, XGBoost, LightGBM or CatBoost that it derives from."
                )
            break
