"""DataFrames that a model is trained on as they are: on categories, or by the names of columns."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..ensembles import as_numbers, category_columns, knows_categories

#: Parameters of the source libraries, of the model or of its ``fit``, that may name columns.
_NAMING = (
    "categorical_features",
    "categorical_feature",
    "interaction_constraints",
    "interaction_cst",
    "monotone_constraints",
    "monotonic_cst",
)
_WAY_OUT = (
    "encode them in a pipeline (OneHotEncoder, or OrdinalEncoder where their order means something), or use boosted "
    "trees, which split on categories (FHEGradientBoostingClassifier, FHEGradientBoostingRegressor)"
)


def trains_on_frame(model: Any, X: Any, fit_params: dict[str, Any]) -> bool:
    """Whether a model has to be trained on a DataFrame rather than on the numbers in it.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Rows of the training set.
    fit_params : dict
        Parameters of ``fit`` of the model.

    Returns
    -------
    trains : bool
        True for a DataFrame with categories of which the model makes use, or whose columns are named in a parameter.
    """
    if not hasattr(X, "iloc") or not hasattr(X, "columns"):
        return False
    if knows_categories(model) and category_columns(X):
        return True
    parameters = {**model.get_params(), **fit_params}
    return any(_names_columns(parameters.get(name)) for name in _NAMING)


def check_frame(model: Any, X: Any, fit_params: dict[str, Any], *, trains_on_bins: bool) -> None:
    """Refuse a DataFrame that cannot be trained on, by the name of the column.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X : DataFrame of shape (n_samples, n_features)
        Rows of the training set.
    fit_params : dict
        Parameters of ``fit`` of the model.
    trains_on_bins : bool
        Whether the quantizer makes bins of all columns before the model sees them.
    """
    categories = category_columns(X)
    if trains_on_bins:
        names = [X.columns[j] for j in categories]
        what = f"categories (columns {names})" if categories else "names of columns"
        raise ValueError(
            f"This quantizer trains the model on bins of numbers, which have no {what}: use quantizer='threshold', or "
            f"{_WAY_OUT.partition(', or use')[0]}."
        )
    parameters = {**model.get_params(), **fit_params}
    named = [name for key in ("categorical_features", "categorical_feature") for name in _listed(parameters.get(key))]
    for j, name in enumerate(X.columns):
        if j not in categories and name not in named and j not in named:
            as_numbers(X.iloc[:, j], name)


def refuse_categories(model: Any, X: Any) -> None:
    """Refuse categories where a model splits on them in a way that cannot be imported.

    Parameters
    ----------
    model : estimator
        Not fitted.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Rows of the training set.
    """
    names = [X.columns[j] for j in category_columns(X)]
    if names and type(model).__module__.partition(".")[0] == "catboost":
        raise ValueError(
            f"Columns {names} have dtype 'category', of which CatBoost makes statistics that cannot be imported: use "
            "another library (library='lightgbm', 'xgboost' or 'sklearn'), or encode them in a pipeline (OneHotEncoder "
            "or TargetEncoder)."
        )


def warn_of_categories(model: Any, X: Any, *, stacklevel: int) -> None:
    """Say that a model takes categories that are numbers as these numbers.

    Parameters
    ----------
    model : estimator
        Not fitted; it knows no categories.
    X : array-like, sparse matrix or DataFrame of shape (n_samples, n_features)
        Rows of the training set.
    stacklevel : int
        Number of calls from here to the user's, as of `warnings.warn`.
    """
    names = [X.columns[j] for j in category_columns(X)]
    if names:
        warnings.warn(
            f"Columns {names} have dtype 'category', which {type(model).__name__} takes as numbers, in the order of "
            f"their values. If they are none, {_WAY_OUT}.",
            stacklevel=stacklevel,
        )


@contextmanager
def explaining_categories(X: Any) -> Iterator[None]:
    """Errors of training name columns whose categories are of types that few libraries take.

    Parameters
    ----------
    X : DataFrame of shape (n_samples, n_features)
        What is trained on meanwhile.

    Yields
    ------
    None
        At once.
    """
    try:
        yield
    except Exception as error:  # libraries fail in their own ways on values that they cannot write down
        categories = {X.columns[j]: X.iloc[:, j].cat.categories for j in category_columns(X)}
        odd = [name for name, values in categories.items() if not _are_plain(values)]
        if not odd:
            raise
        reason = str(error).partition("\nStack trace")[0].strip()
        raise ValueError(
            f"Training failed ({type(error).__name__}: {reason}). Columns {odd} have categories that are neither "
            "strings nor integers, which libraries take in part or not at all: make strings of them, as by "
            "column.cat.rename_categories(str)."
        ) from error


def _are_plain(categories: Any) -> bool:
    if getattr(categories.dtype, "kind", "O") in "iu":
        return isinstance(categories.dtype, np.dtype)
    return all(isinstance(value, str) for value in categories)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else []


def _names_columns(value: Any) -> bool:
    """Whether there is a string in a list or among the keys of a dict; a string alone is a setting."""
    return any(isinstance(one, str) or _names_columns(one) for one in _listed(value))
