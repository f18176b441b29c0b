"""From the files of the packages to checked tables of floats."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.preprocessing import OrdinalEncoder


class Table(NamedTuple):
    """A data set.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features), float64
        Missing values are NaN; categories are numbered in the order of their names.
    y : ndarray of shape (n_samples,)
    names : list of str
        Features.
    """

    X: np.ndarray
    y: np.ndarray
    names: list[str]


def read_rda(path: Path) -> pd.DataFrame:
    """The only data frame of an R data file."""
    import pyreadr  # an optional dependency, for two of the data sets

    (frame,) = pyreadr.read_r(str(path)).values()
    return frame


def encode(features: pd.DataFrame) -> np.ndarray:
    """Floats as users of LightGBM make them: `OrdinalEncoder` for categories, numbers and NaN as they are."""
    numeric = features.select_dtypes(["number", "bool"]).columns
    categorical = [name for name in features.columns if name not in set(numeric)]
    encoded = features.copy()
    if categorical:
        as_objects = features[categorical].astype(object)
        as_objects = as_objects.where(as_objects.notna(), np.nan)
        encoded[categorical] = OrdinalEncoder().fit_transform(as_objects)
    return encoded.to_numpy(dtype=np.float64)


def checked(
    features: pd.DataFrame,
    target: pd.Series | np.ndarray,
    *,
    shape: tuple[int, int],
    class_counts: Sequence[int] | None = None,
    n_missing: int = 0,
    n_categorical: int = 0,
) -> Table:
    """Encode, and compare the outcome with what is known of the data set.

    Raises
    ------
    ValueError
        If the package holds something else than expected.
    """
    y = np.asarray(target)
    n_text = features.shape[1] - features.select_dtypes(["number", "bool"]).shape[1]
    facts = {
        "shape": (features.shape, shape),
        "rows of the target": (y.shape, shape[:1]),
        "missing values": (int(features.isna().to_numpy().sum()), n_missing),
        "categorical features": (n_text, n_categorical),
    }
    if class_counts is not None:
        facts["class counts"] = (sorted(np.unique(y, return_counts=True)[1].tolist()), sorted(class_counts))
    for what, (found, expected) in facts.items():
        if found != expected:
            raise ValueError(f"Unexpected {what}: {found}, where {expected} was expected.")
    return Table(encode(features), y, [str(name) for name in features.columns])
