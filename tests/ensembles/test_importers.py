"""Imported ensembles reproduce their source on random, edge and real rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_linnerud, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier
from sklearn.utils import get_tags
from xgboost import XGBClassifier, XGBRegressor, XGBRFClassifier, XGBRFRegressor

from fhe_estimators.ensembles import ensemble_from_model, evaluate
from tests.ensembles.edge_rows import edge_rows

CANCER, WINE, DIGITS, DIABETES, LINNERUD = (
    load(return_X_y=True) for load in (load_breast_cancer, load_wine, load_digits, load_diabetes, load_linnerud)
)
SMALL = {"n_estimators": 8, "random_state": 0}
LGBM = {**SMALL, "verbosity": -1}
#: Loss functions with a logarithmic link need positive targets.
POISSON = (DIABETES[0], DIABETES[1] / 100)


def library_of(model):
    return type(model).__module__.partition(".")[0]


def assert_reproduces(model, ensemble, X):
    """Scores, probabilities and labels of the source, to the rounding of its own arithmetic."""
    tolerance = 2e-6 if library_of(model) == "xgboost" else 1e-12
    scores = evaluate(ensemble, X)
    link = ensemble.link
    if link.is_classifier:
        theirs = model.predict_proba(X)
        theirs = np.hstack(theirs) if isinstance(theirs, list) else theirs
        np.testing.assert_allclose(link.apply(scores), theirs, atol=tolerance)
        assert_labels(model, link, scores, X, tolerance)
    elif link.is_outlier_detector:
        np.testing.assert_allclose(link.decision(scores), model.decision_function(X), atol=tolerance)
    else:
        theirs = model.predict(X)
        np.testing.assert_allclose(link.predict(scores), theirs, rtol=tolerance, atol=tolerance * np.abs(theirs).max())


def assert_labels(model, link, scores, X, tolerance):
    """Labels are equal wherever the float margin is larger than the rounding."""
    labels = link.predict(scores, model.classes_)
    if isinstance(model.classes_, list):
        probabilities = link.probabilities(scores)
    else:
        labels, probabilities = labels[:, None], [link.probabilities(scores)]
    theirs = model.predict(X).reshape(len(X), -1)
    for ours, expected, proba in zip(labels.T, theirs.T, probabilities, strict=True):
        if proba.shape[1] > 1:
            best = np.sort(proba, axis=1)
            clear = best[:, -1] - best[:, -2] > tolerance
            np.testing.assert_array_equal(ours[clear], expected[clear])


def with_missing(X, seed=0):
    X = X.copy()
    X[np.random.default_rng(seed).random(X.shape) < 0.1] = np.nan
    return X


def high(y):
    """Several binary outputs."""
    return np.where(y > y.mean(axis=0), "high", "low")


MODELS = {
    "tree": (DecisionTreeClassifier(max_depth=6, random_state=0), CANCER),
    "tree-multiclass": (DecisionTreeClassifier(random_state=0), WINE),
    "tree-multioutput": (DecisionTreeClassifier(random_state=0), (LINNERUD[0], high(LINNERUD[1]))),
    "tree-random-splits": (ExtraTreeClassifier(random_state=0), CANCER),
    "tree-leaf-wise": (DecisionTreeClassifier(max_leaf_nodes=9, random_state=0), CANCER),
    "tree-pruned": (DecisionTreeClassifier(ccp_alpha=0.01, random_state=0), CANCER),
    "tree-one-class": (DecisionTreeClassifier(), (CANCER[0], np.ones(len(CANCER[0])))),
    "tree-weighted": (DecisionTreeClassifier(class_weight="balanced", max_depth=3), CANCER),
    "tree-regression": (DecisionTreeRegressor(max_depth=6, random_state=0), DIABETES),
    "tree-regression-multioutput": (DecisionTreeRegressor(random_state=0), LINNERUD),
    "tree-constant": (DecisionTreeRegressor(), (DIABETES[0], np.ones(len(DIABETES[0])))),
    "forest": (RandomForestClassifier(**SMALL), CANCER),
    "forest-digits": (RandomForestClassifier(**SMALL), DIGITS),
    "forest-multioutput": (RandomForestClassifier(**SMALL), (LINNERUD[0], high(LINNERUD[1]))),
    "forest-regression": (RandomForestRegressor(**SMALL), DIABETES),
    "forest-regression-poisson": (RandomForestRegressor(criterion="poisson", **SMALL), DIABETES),
    "extra-trees": (ExtraTreesClassifier(**SMALL), WINE),
    "extra-trees-regression": (ExtraTreesRegressor(**SMALL), LINNERUD),
    "boosting": (GradientBoostingClassifier(**SMALL), CANCER),
    "boosting-multiclass": (GradientBoostingClassifier(**SMALL), WINE),
    "boosting-exponential": (GradientBoostingClassifier(loss="exponential", **SMALL), CANCER),
    "boosting-from-zero": (GradientBoostingClassifier(init="zero", **SMALL), CANCER),
    "boosting-regression": (GradientBoostingRegressor(**SMALL), DIABETES),
    "boosting-huber": (GradientBoostingRegressor(loss="huber", **SMALL), DIABETES),
    "boosting-quantile": (GradientBoostingRegressor(loss="quantile", **SMALL), DIABETES),
    "hist": (HistGradientBoostingClassifier(max_iter=8, random_state=0), CANCER),
    "hist-multiclass": (HistGradientBoostingClassifier(max_iter=4, random_state=0), WINE),
    "hist-regression": (HistGradientBoostingRegressor(max_iter=8, random_state=0), DIABETES),
    "hist-poisson": (HistGradientBoostingRegressor(loss="poisson", max_iter=8, random_state=0), POISSON),
    "hist-gamma": (HistGradientBoostingRegressor(loss="gamma", max_iter=8, random_state=0), POISSON),
    "isolation": (IsolationForest(**SMALL), CANCER),
    "isolation-features": (IsolationForest(max_features=0.4, max_samples=50, contamination=0.1, **SMALL), CANCER),
    "isolation-one-sample": (IsolationForest(max_samples=1, **SMALL), CANCER),
    "xgboost": (XGBClassifier(**SMALL), CANCER),
    "xgboost-multiclass": (XGBClassifier(**SMALL), WINE),
    "xgboost-softmax": (XGBClassifier(objective="multi:softmax", **SMALL), WINE),
    "xgboost-base-score": (XGBClassifier(base_score=0.2, **SMALL), CANCER),
    "xgboost-dart": (XGBClassifier(booster="dart", rate_drop=0.5, **SMALL), CANCER),
    "xgboost-leaf-wise": (XGBClassifier(grow_policy="lossguide", max_leaves=9, max_depth=0, **SMALL), CANCER),
    "xgboost-exact": (XGBClassifier(tree_method="exact", gamma=1.0, **SMALL), CANCER),
    "xgboost-forest": (XGBRFClassifier(**SMALL), CANCER),
    "xgboost-forest-multiclass": (XGBRFClassifier(**SMALL), WINE),
    "xgboost-boosted-forest": (XGBClassifier(num_parallel_tree=3, subsample=0.5, **SMALL), WINE),
    "xgboost-one-class": (XGBClassifier(**SMALL), (CANCER[0], np.zeros(len(CANCER[0]), dtype=int))),
    "xgboost-regression": (XGBRegressor(**SMALL), DIABETES),
    "xgboost-forest-regression": (XGBRFRegressor(**SMALL), DIABETES),
    "xgboost-multioutput": (XGBRegressor(**SMALL), LINNERUD),
    "xgboost-quantiles": (XGBRegressor(objective="reg:quantileerror", quantile_alpha=[0.1, 0.9], **SMALL), DIABETES),
    "xgboost-absolute": (XGBRegressor(objective="reg:absoluteerror", **SMALL), DIABETES),
    "xgboost-logistic": (XGBRegressor(objective="reg:logistic", **SMALL), (DIABETES[0], DIABETES[1] / 400)),
    "xgboost-poisson": (XGBRegressor(objective="count:poisson", **SMALL), POISSON),
    "xgboost-gamma": (XGBRegressor(objective="reg:gamma", **SMALL), POISSON),
    "xgboost-tweedie": (XGBRegressor(objective="reg:tweedie", **SMALL), POISSON),
    "lightgbm": (LGBMClassifier(**LGBM), CANCER),
    "lightgbm-multiclass": (LGBMClassifier(**LGBM), WINE),
    "lightgbm-one-vs-rest": (LGBMClassifier(objective="multiclassova", sigmoid=2.0, **LGBM), WINE),
    "lightgbm-sigmoid": (LGBMClassifier(sigmoid=0.5, **LGBM), CANCER),
    "lightgbm-dart": (LGBMClassifier(boosting_type="dart", **LGBM), CANCER),
    "lightgbm-forest": (
        LGBMClassifier(boosting_type="rf", bagging_freq=1, bagging_fraction=0.5, **LGBM),
        WINE,
    ),
    "lightgbm-no-missing": (LGBMClassifier(use_missing=False, **LGBM), CANCER),
    "lightgbm-regression": (LGBMRegressor(**LGBM), DIABETES),
    "lightgbm-poisson": (LGBMRegressor(objective="poisson", **LGBM), POISSON),
    "lightgbm-tweedie": (LGBMRegressor(objective="tweedie", **LGBM), POISSON),
    "lightgbm-cross-entropy": (LGBMRegressor(objective="cross_entropy", **LGBM), (DIABETES[0], DIABETES[1] / 400)),
    "lightgbm-stump": (LGBMRegressor(min_child_samples=1000, **LGBM), DIABETES),
}


def accepts_missing(model):
    return get_tags(model).input_tags.allow_nan if library_of(model) == "sklearn" else True


def accepts_huge(model):
    """Boosting libraries compare whatever they get; scikit-learn, and XGBoost with DART, refuse infinity."""
    return library_of(model) != "sklearn" and model.get_params().get("booster") != "dart"


@pytest.mark.parametrize("name", MODELS)
def test_real_and_edge_rows(name):
    model, (X, y) = MODELS[name]
    model.fit(X, y)
    ensemble = ensemble_from_model(model)
    assert ensemble.n_features == X.shape[1] and ensemble.allow_nan == accepts_missing(model)
    assert_reproduces(model, ensemble, X)
    assert_reproduces(model, ensemble, edge_rows(ensemble, X, nan=accepts_missing(model), huge=accepts_huge(model)))


@pytest.mark.parametrize("name", [name for name, (model, _) in MODELS.items() if accepts_missing(model)])
def test_trained_with_missing_values(name):
    model, (X, y) = MODELS[name]
    X = with_missing(np.asarray(X, dtype=np.float64))
    model.fit(X, y)
    ensemble = ensemble_from_model(model)
    assert_reproduces(model, ensemble, X)
    assert_reproduces(model, ensemble, edge_rows(ensemble, X, nan=True, huge=accepts_huge(model)))


FAST = [DecisionTreeClassifier, RandomForestClassifier, GradientBoostingClassifier, XGBClassifier, LGBMClassifier]


@settings(deadline=None, max_examples=40)
@given(
    make=st.sampled_from(FAST),
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(2, 60),
    n_classes=st.integers(2, 4),
    exponent=st.integers(-40, 37),
    float32=st.booleans(),
)
def test_random_training_sets(make, seed, n_rows, n_classes, exponent, float32):
    rng = np.random.default_rng(seed)
    X = rng.integers(-6, 6, size=(n_rows, 3)) * 10.0**exponent
    if float32:
        X = X.astype(np.float32).astype(np.float64)
    y = rng.permutation(np.arange(n_rows) % min(n_classes, n_rows))
    model = make(max_depth=4)
    if "n_estimators" in model.get_params():
        model.set_params(n_estimators=3)
    if make is LGBMClassifier:
        model.set_params(verbosity=-1, min_child_samples=1)
    model.fit(X, y)
    ensemble = ensemble_from_model(model)
    assert_reproduces(model, ensemble, X)
    assert_reproduces(model, ensemble, edge_rows(ensemble, X, nan=accepts_missing(model), huge=accepts_huge(model)))
