"""What scikit-learn 1.5 spells differently: Concrete ML pins that version, and its models can be imported beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ._names import under_known_names

try:
    from sklearn.utils import get_tags
    from sklearn.utils.validation import validate_data as _validate_data
except ImportError:  # scikit-learn < 1.6

    def get_tags(estimator: Any) -> Any:
        """Tags of an estimator, those that this library asks for."""
        tags = estimator._get_tags()
        return SimpleNamespace(
            input_tags=SimpleNamespace(allow_nan=tags["allow_nan"], sparse="sparse" in tags["X_types"]),
            target_tags=SimpleNamespace(multi_output=tags["multioutput"]),
        )

    def _validate_data(estimator: Any, X: Any, y: Any = "no_validation", **checks: Any) -> Any:
        """Rows, or rows and targets, as `sklearn.utils.validation.validate_data` of later versions checks them."""
        if "ensure_all_finite" in checks:
            checks["force_all_finite"] = checks.pop("ensure_all_finite")
        if checks.pop("skip_check_array", False):
            checks["cast_to_ndarray"] = False
        return estimator._validate_data(X, y, **checks)


def validate_data(estimator: Any, X: Any, y: Any = "no_validation", **checks: Any) -> Any:
    """Rows, or rows and targets, as scikit-learn checks them; a frame may have the names that it had in training."""
    if not checks.get("reset", True):
        X = under_known_names(X, getattr(estimator, "feature_names_in_", None))
    return _validate_data(estimator, X, y, **checks)


__all__ = ["get_tags", "validate_data"]
