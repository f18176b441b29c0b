"""Objectives beside those that a class is usually trained with: rankers, survival, functions of the user's own."""

import lightgbm
import numpy as np
import pytest
import xgboost
from lightgbm import LGBMClassifier, LGBMRanker, LGBMRegressor
from sklearn.datasets import load_diabetes
from xgboost import XGBClassifier, XGBRanker, XGBRegressor

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.exceptions import UnsupportedModelError

X, Y = load_diabetes(return_X_y=True)
LABELS = (Y > 150).astype(int)
#: Queries of twenty samples.
GROUPS = [20] * 22 + [2]
XGB = {"n_estimators": 5, "max_depth": 3}
LGBM = {**XGB, "verbosity": -1}


def squared(truth, scores):
    return scores - truth, np.ones(len(scores))


def logistic(truth, scores):
    chances = 1 / (1 + np.exp(-scores))
    return chances - truth, chances * (1 - chances)


REGRESSORS = {
    "LightGBM ranks": (LGBMRanker(**LGBM), np.minimum(Y // 90, 3), {"group": GROUPS}),
    "LightGBM ranks by xendcg": (
        LGBMRanker(objective="rank_xendcg", **LGBM),
        np.minimum(Y // 90, 3),
        {"group": GROUPS},
    ),
    "LightGBM function": (LGBMRegressor(objective=squared, **LGBM), Y, {}),
    "LightGBM chances": (LGBMRegressor(objective="binary", **LGBM), LABELS, {}),
    "LightGBM scores of a classifier": (LGBMClassifier(objective=logistic, **LGBM), LABELS, {}),
    "XGBoost ranks": (XGBRanker(**XGB), np.minimum(Y // 90, 3), {"group": GROUPS}),
    "XGBoost ranks pairs": (XGBRanker(objective="rank:pairwise", **XGB), LABELS, {"group": GROUPS}),
    "XGBoost ranks by precision": (XGBRanker(objective="rank:map", **XGB), LABELS, {"group": GROUPS}),
    "XGBoost function": (XGBRegressor(objective=squared, **XGB), Y, {}),
    "XGBoost chances": (XGBRegressor(objective="binary:logistic", **XGB), LABELS, {}),
    "XGBoost logits": (XGBRegressor(objective="binary:logitraw", **XGB), LABELS, {}),
    "XGBoost hazards": (XGBRegressor(objective="survival:cox", **XGB), np.where(LABELS, Y, -Y), {}),
}
#: Objectives whose boosters are classifiers: they predict probabilities.
CHANCES = ("LightGBM chances", "XGBoost chances")


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_and_their_boosters(name):
    model, targets, parameters = REGRESSORS[name]
    model.fit(X, targets, **parameters)
    booster = model.get_booster() if hasattr(model, "get_booster") else model.booster_
    for brought in [model] if name in CHANCES else [model, booster]:
        reg = FHERegressor.from_fitted(brought, X, backend="clear").compile()
        predicted = model.predict(X)
        np.testing.assert_allclose(reg.predict(X, fhe="execute"), predicted, atol=1e-4 * np.ptp(predicted))
    ours = FHERegressor(model, backend="clear").fit(X, targets, **parameters)
    np.testing.assert_allclose(ours.predict(X), predicted, atol=1e-4 * np.ptp(predicted))


@pytest.mark.parametrize(
    "model",
    [
        XGBClassifier(objective=logistic, **XGB),
        XGBClassifier(objective="reg:logistic", **XGB),
        LGBMClassifier(objective="cross_entropy", **LGBM),
    ],
    ids=["XGBoost function", "XGBoost regression", "LightGBM cross entropy"],
)
def test_classifiers(model):
    clf = FHEClassifier.from_fitted(model.fit(X, LABELS), X)
    np.testing.assert_array_equal(clf.predict(X), model.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), model.predict_proba(X), atol=1e-4)


def test_boosters_of_functions():
    of_xgboost = xgboost.train({}, xgboost.DMatrix(X, LABELS), 4, obj=lambda s, rows: logistic(rows.get_label(), s))
    reg = FHERegressor.from_fitted(of_xgboost, X)
    np.testing.assert_allclose(reg.predict(X), of_xgboost.predict(xgboost.DMatrix(X)), atol=1e-3)
    of_lightgbm = lightgbm.train(
        {"objective": lambda s, rows: logistic(rows.get_label(), s), "verbosity": -1}, lightgbm.Dataset(X, LABELS), 4
    )
    np.testing.assert_allclose(FHERegressor.from_fitted(of_lightgbm, X).predict(X), of_lightgbm.predict(X), atol=1e-3)


def test_a_function_makes_no_probabilities_in_lightgbm():
    model = LGBMClassifier(objective=logistic, **LGBM).fit(X, LABELS)
    for brought in (model, model.booster_):
        with pytest.raises(ValueError, match=r"objective of its own.*use FHERegressor"):
            FHEClassifier.from_fitted(brought)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (XGBClassifier(objective="binary:hinge", **XGB), "objective='binary:hinge' is not supported: use"),
        (LGBMRegressor(objective="cross_entropy_lambda", **LGBM), "is not supported: use one of"),
        (LGBMRegressor(objective="binary", sigmoid=2.0, **LGBM), "use LGBMClassifier"),
    ],
    ids=["hinge", "lambda", "sigmoid"],
)
def test_refused_with_a_way_out(model, message):
    with pytest.raises(UnsupportedModelError, match=message):
        FHERegressor.from_fitted(model.fit(X, LABELS))
