"""What cannot be represented exactly is refused, with a way out."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import (
    AdaBoostClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomTreesEmbedding,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators.ensembles import ensemble_from_model, evaluate
from fhe_estimators.exceptions import UnsupportedModelError

X, y = load_breast_cancer(return_X_y=True)
DIABETES = load_diabetes(return_X_y=True)
SMALL = {"n_estimators": 3, "max_depth": 2}


UNSUPPORTED = {
    "linear model": (LogisticRegression(), X, y, "not a tree ensemble"),
    "adaboost": (AdaBoostClassifier(LogisticRegression(), n_estimators=2), X, y, "train it with decision trees"),
    "embedding": (RandomTreesEmbedding(n_estimators=2), X, y, "does not predict"),
    "boosting from a model": (GradientBoostingClassifier(init=LogisticRegression(), **SMALL), X[:, :3], y, "init=None"),
    "xgboost linear": (XGBClassifier(booster="gblinear", n_estimators=2), X, y, "use 'gbtree' or 'dart'"),
    "xgboost vector leaves": (
        XGBRegressor(multi_strategy="multi_output_tree", **SMALL),
        DIABETES[0],
        np.c_[DIABETES[1], -DIABETES[1]],
        "one_output_per_tree",
    ),
    "xgboost objective": (XGBClassifier(objective="binary:hinge", **SMALL), X, y, "objective='binary:hinge'"),
    "xgboost multi-label": (XGBClassifier(**SMALL), X, np.c_[y, 1 - y], "one model a label"),
    "lightgbm linear": (LGBMRegressor(linear_tree=True, verbosity=-1, **SMALL), *DIABETES, "linear_tree=False"),
    "lightgbm zeros": (LGBMClassifier(zero_as_missing=True, verbosity=-1, **SMALL), X, y, "zero_as_missing"),
    "lightgbm objective": (
        LGBMRegressor(reg_sqrt=True, verbosity=-1, **SMALL),
        *DIABETES,
        "objective='regression sqrt'",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UNSUPPORTED)
def test_refused_with_a_way_out(name):
    model, features, target, message = UNSUPPORTED[name]
    model.fit(features, target)
    with pytest.raises(UnsupportedModelError, match=message):
        ensemble_from_model(model)


@pytest.mark.parametrize("model", [RandomForestClassifier(), XGBClassifier(), LGBMClassifier()], ids=str)
def test_an_unfitted_model_is_refused(model):
    with pytest.raises(NotFittedError):
        ensemble_from_model(model)


@pytest.mark.parametrize("model", [None, 3, "model", np.zeros(3), XGBClassifier])
def test_anything_else_is_refused(model):
    with pytest.raises(
        (UnsupportedModelError, TypeError), match=r"Cannot import|not an estimator|class, not an instance"
    ):
        ensemble_from_model(model)


def test_early_stopping_stops_where_the_model_does():
    half = len(X) // 2
    held_out = [(X[half:], y[half:])]
    xgb = XGBClassifier(n_estimators=60, early_stopping_rounds=2, learning_rate=0.5)
    xgb.fit(X[:half], y[:half], eval_set=held_out, verbose=False)
    imported = ensemble_from_model(xgb)
    assert imported.n_trees == xgb.best_iteration + 1 < 60
    np.testing.assert_allclose(evaluate(imported, X)[:, 0], xgb.predict(X, output_margin=True), atol=1e-5)
    from lightgbm import early_stopping

    lgbm = LGBMClassifier(n_estimators=60, learning_rate=0.5, verbosity=-1)
    lgbm.fit(X[:half], y[:half], eval_set=held_out, callbacks=[early_stopping(2, verbose=False)])
    imported = ensemble_from_model(lgbm)
    assert imported.n_trees == lgbm.best_iteration_ < 60
    np.testing.assert_allclose(evaluate(imported, X)[:, 0], lgbm.predict(X, raw_score=True), atol=1e-12)


def test_the_base_score_of_older_files():
    """XGBoost 2 wrote a number where XGBoost 3 writes a list."""
    from fhe_estimators.ensembles._from_xgboost import _base_score

    np.testing.assert_array_equal(_base_score({"base_score": "5E-1"}), [0.5])
    np.testing.assert_array_equal(_base_score({"base_score": "[5E-1]"}), [0.5])
    np.testing.assert_array_equal(_base_score({"base_score": "[1E0,2E0,-3E0]"}), [1.0, 2.0, -3.0])
