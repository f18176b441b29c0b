"""Parameters of ``fit`` on their way to the source library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: Parameters that hold pairs of rows and targets, rows alone, and targets alone; all others are handed on as they are.
_SETS, _ROWS, _TARGETS = ("eval_set",), ("X_val", "eval_X"), ("y_val", "eval_y")


def training_arguments(
    fit_params: dict[str, Any], rows_of: Callable[[Any], Any], targets_of: Callable[[Any], Any]
) -> dict[str, Any]:
    """Parameters for ``fit`` of the source library.

    Parameters
    ----------
    fit_params : dict
        As the user gave them.
    rows_of, targets_of : callable
        What makes rows and targets what the source library is trained on.

    Returns
    -------
    arguments : dict
        Evaluation sets are prepared as the training set is; the library judges all the rest.
    """
    return {name: _prepared(name, value, rows_of, targets_of) for name, value in fit_params.items()}


def _prepared(name: str, value: Any, rows_of: Callable[[Any], Any], targets_of: Callable[[Any], Any]) -> Any:
    if value is None:
        return None
    if name in _SETS:
        if isinstance(value, tuple) and len(value) == 2 and not isinstance(value[0], (tuple, list)):
            value = [value]  # LightGBM takes one pair as well
        return [(rows_of(pair[0]), targets_of(pair[1]), *pair[2:]) for pair in value]
    for names, function in ((_ROWS, rows_of), (_TARGETS, targets_of)):
        if name in names:
            return type(value)(map(function, value)) if isinstance(value, (tuple, list)) else function(value)
    return value
