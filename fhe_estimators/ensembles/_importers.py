"""One entry point for every library whose trees can be imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from ..exceptions import UnsupportedModelError
from ..utils import dense_rows, get_tags
from ._boosters import BoosterEstimator, as_estimator
from ._ensemble import TreeEnsemble
from ._known_predictions import check_predictions_are_known

#: Top-level package that defines a model's class -> our module that reads it. The library itself is
#: never imported to find out: a model of that library can only exist if it is.
_MODULES = {
    "sklearn": "_from_sklearn",
    "xgboost": "_from_xgboost",
    "lightgbm": "_from_lightgbm",
    "catboost": "_from_catboost",
    "concrete": "_from_concrete_ml",
}


def absent_value(model: Any) -> float:
    """What entries that a sparse matrix does not store stand for in a model's ``predict``.

    Parameters
    ----------
    model : estimator or Booster
        Fitted or not.

    Returns
    -------
    value : float
        NaN for models of XGBoost, which reads absent entries as missing ones; 0 for all others.
    """
    source = model.booster if isinstance(model, BoosterEstimator) else model
    from_xgboost = any(cls.__module__.partition(".")[0] == "xgboost" for cls in type(source).__mro__)
    return float("nan") if from_xgboost else 0.0


def rows_for(model: Any, rows: Any) -> Any:
    """Rows in a form that a model's library takes.

    Parameters
    ----------
    model : estimator or Booster
        Fitted or not.
    rows : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        Sparse arrays included.

    Returns
    -------
    rows : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        Sparse rows become dense where the library takes no others.
    """
    if not sparse.issparse(rows):
        return rows
    if not get_tags(model).input_tags.sparse:
        return dense_rows(rows, absent_value(model))
    source = model.booster if isinstance(model, BoosterEstimator) else model
    if type(source).__module__.partition(".")[0] != "catboost":
        return rows
    matrix = sparse.csr_matrix(rows)  # no sparse array, and no indices of 64 bits
    return sparse.csr_matrix(
        (matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)), shape=matrix.shape
    )


def numbers_as_read(model: Any, rows: Any, numbers: Any) -> Any:
    """Numbers of rows to train on, as a model's library reads them.

    Parameters
    ----------
    model : estimator
        Fitted or not.
    rows : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
        As they were given.
    numbers : ndarray or sparse matrix of shape (n_samples, n_features)
        What validation made of them.

    Returns
    -------
    numbers : ndarray or sparse matrix of shape (n_samples, n_features)
        Rounded to float32 where LightGBM rounds them: in arrays and lists of integers.
    """
    from_lightgbm = any(cls.__module__.partition(".")[0] == "lightgbm" for cls in type(model).__mro__)
    if (
        not from_lightgbm
        or hasattr(rows, "columns")
        or sparse.issparse(rows)
        or np.asarray(rows).dtype.kind not in "iu"
    ):
        return numbers
    return numbers.astype(np.float32).astype(np.float64)


def knows_categories(model: Any) -> bool:
    """Whether a model splits columns of categories by sets of them.

    Parameters
    ----------
    model : estimator or Booster
        Fitted or not.

    Returns
    -------
    knows : bool
        True for models of XGBoost and LightGBM, and for scikit-learn's histogram gradient boosting.
    """
    source = model.booster if isinstance(model, BoosterEstimator) else model
    classes = [(cls.__module__.partition(".")[0], cls.__name__) for cls in type(source).__mro__]
    return any(module in ("xgboost", "lightgbm") or name == "BaseHistGradientBoosting" for module, name in classes)


def ensemble_from_model(model: Any, X: Any = None) -> TreeEnsemble:
    """Trees of a fitted scikit-learn, XGBoost, LightGBM or CatBoost model, in floats.

    Parameters
    ----------
    model : estimator or Booster
        A fitted decision tree, random forest, extra trees, (histogram) gradient boosting or isolation
        forest of scikit-learn, or a classifier, regressor, ranker or booster of XGBoost, LightGBM or CatBoost; or a
        model of Concrete ML.
    X : DataFrame of shape (n_samples, n_features), default=None
        Rows of the training set: they tell which columns hold which categories where the model does not.

    Returns
    -------
    ensemble : TreeEnsemble
        Its scores under its link equal the model's predictions to float rounding.

    Raises
    ------
    UnsupportedModelError
        If the model, or something it uses (linear leaves, a multi-label objective, ...),
        cannot be represented exactly.
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from fhe_estimators.ensembles import ensemble_from_model, evaluate
    >>> X, y = load_diabetes(return_X_y=True)
    >>> forest = RandomForestRegressor(n_estimators=3, max_depth=2, random_state=0).fit(X, y)
    >>> ensemble = ensemble_from_model(forest)
    >>> ensemble.n_trees, ensemble.n_nodes, ensemble.link
    (3, 21, AverageLink(n_trees=3))
    >>> bool(abs(ensemble.link.predict(evaluate(ensemble, X)) - forest.predict(X)).max() < 1e-9)
    True
    """
    model = as_estimator(model)
    source = model.booster if isinstance(model, BoosterEstimator) else model
    for cls in type(source).__mro__:
        module = _MODULES.get(cls.__module__.partition(".")[0])
        if module is not None and cls.__name__ != "BaseEstimator" and not cls.__name__.endswith("Mixin"):
            check_is_fitted(model)
            check_predictions_are_known(model)
            return import_module(f".{module}", __package__).import_model(model, X)
    raise UnsupportedModelError(
        f"Cannot import a {type(model).__name__}: use a fitted tree model of scikit-learn, XGBoost, LightGBM or "
        "CatBoost."
    )
