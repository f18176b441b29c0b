"""Names of a fitted model's columns, as its library keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._boosters import BoosterEstimator

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
    elif hasattr(model, "feature_names_in_"):
        names = model.feature_names_in_
    else:
        names = getattr(model, "feature_names_", None)
    library = type(source).__module__.partition(".")[0]
    if names is None or list(names) == [f"{_NUMBERED.get(library)}{j}" for j in range(len(names))]:
        return None
    return np.array(names, dtype=object)
