"""Estimators of scikit-learn's kind that train in the clear and predict on encrypted rows.

Importing the package loads none of the tree, encryption or deep-learning libraries: every public
name is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

# What type checkers see; __getattr__ serves the same names at run time.
if TYPE_CHECKING:
    from .estimators import (
        FHEClassifier,
        FHEDecisionTreeClassifier,
        FHEDecisionTreeRegressor,
        FHEExtraTreesClassifier,
        FHEExtraTreesRegressor,
        FHEGradientBoosting,
        FHEGradientBoostingClassifier,
        FHEGradientBoostingRegressor,
        FHEIsolationForest,
        FHERandomForest,
        FHERandomForestClassifier,
        FHERandomForestRegressor,
        FHERegressor,
    )
    from .lora import HELoRAFineTuner

__all__ = [
    "FHEClassifier",
    "FHEDecisionTreeClassifier",
    "FHEDecisionTreeRegressor",
    "FHEExtraTreesClassifier",
    "FHEExtraTreesRegressor",
    "FHEGradientBoosting",
    "FHEGradientBoostingClassifier",
    "FHEGradientBoostingRegressor",
    "FHEIsolationForest",
    "FHERandomForest",
    "FHERandomForestClassifier",
    "FHERandomForestRegressor",
    "FHERegressor",
    "HELoRAFineTuner",
    "__version__",
]

# Public name -> module that defines it.
_LAZY = {name: ".estimators" for name in __all__ if name != "__version__"} | {"HELoRAFineTuner": ".lora"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name], __name__), name)
    globals()[name] = value  # later look-ups do not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
