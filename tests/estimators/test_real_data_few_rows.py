"""The engine for few rows on whole data sets: the integers of the quantized model on every row."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
from xgboost import XGBClassifier

from fhe_estimators import FHEClassifier, FHERegressor
from tests.estimators.test_real_data import hostile_rows

#: Model, data, and every which row.
MODELS = {
    "iris": (RandomForestClassifier(5, max_depth=3, random_state=0), load_iris, 1),
    "wine": (ExtraTreesClassifier(5, max_depth=6, random_state=0), load_wine, 1),
    "wine, boosting": (LGBMClassifier(n_estimators=5, num_leaves=7, random_state=0, verbosity=-1), load_wine, 1),
    "breast cancer": (XGBClassifier(n_estimators=20, max_depth=3, random_state=0), load_breast_cancer, 1),
    "digits": (XGBClassifier(n_estimators=3, max_depth=3, random_state=0), load_digits, 9),
    "diabetes": (RandomForestRegressor(5, max_depth=4, random_state=0), load_diabetes, 1),
    "diabetes, boosting": (LGBMRegressor(n_estimators=10, max_depth=4, random_state=0, verbosity=-1), load_diabetes, 1),
}


def compiled(name, **options):
    model, load, step = MODELS[name]
    X, y = load(return_X_y=True)
    estimator = FHERegressor if load is load_diabetes else FHEClassifier
    return estimator(model, **options).fit(X, y).compile(), X[::step]


def assert_exact(estimator, rows):
    codes = estimator.quantize(rows)
    np.testing.assert_array_equal(estimator.sum_leaves(codes, "execute"), estimator.sum_leaves(codes))


@pytest.mark.parametrize("name", MODELS)
def test_every_row_is_exact(name):
    estimator, X = compiled(name, backend="bfv")
    assert_exact(estimator, X)


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_every_row_is_exact_where_thresholds_are_hidden(name):
    estimator, X = compiled(name, backend="bfv", quantizer="uniform")
    assert_exact(estimator, X[:: 3 if name == "iris" else 12])


@pytest.mark.parametrize("name", ["wine", "breast cancer"])
def test_rows_on_thresholds_and_missing_ones_are_exact(name):
    estimator, X = compiled(name, backend="bfv")
    assert_exact(estimator, hostile_rows(estimator, X)[len(X) :][:150])
