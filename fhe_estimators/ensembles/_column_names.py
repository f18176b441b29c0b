"""Names of a fitted model's columns, as its library keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._boosters import BoosterEstimator

#: What the names are called: by most, by LightGBM before 4.6, and by CatBoost.
_ATTRIBUTES = ("feature_names_in_", "feature_name_", "feature_names_")
#: What stands before the number of a column that has no name.
_NUMBERED = {"lightgbm": "Column_", "catboost": ""}


def column_names(model: Any) -> np.ndarray | None:
    """Names of the columns that a model was trained on.

    Parameters
    ----------
    model : estimator
        Fitted; boosters as `as_estimator` returns them.

    Returns
    -------
    names : ndarray of shape (n_columns,), object, or None
        As the library keeps them (LightGBM without blanks); None for models that were trained on rows without names,
        in whose place some libraries number them.
    """
    source = model.booster if isinstance(model, BoosterEstimator) else model
    if isinstance(model, BoosterEstimator):
        names = model.column_names
    else:
        names = next((getattr(model, name) for name in _ATTRIBUTES if hasattr(model, name)), None)
    libraries = {cls.__module__.partition(".")[0] for cls in type(source).__mro__}
    n_names = 0 if names is None else len(names)
    numbered = [[f"{prefix}{j}" for j in range(n_names)] for key, prefix in _NUMBERED.items() if key in libraries]
    if names is None or list(names) in numbered:
        return None
    return np.array(names, dtype=object)
