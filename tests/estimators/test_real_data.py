"""Encrypted equals quantized-clear, and the float model on real and hostile rows."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import FHEClassifier, FHEIsolationForest, FHERegressor
from fhe_estimators.ensembles import decision_leaves
from fhe_estimators.quantizers import WORST_SCORE_ERROR, score_error_bound
from tests.ensembles.edge_rows import edge_rows

CLASSIFIERS = {
    "xgboost": (XGBClassifier(n_estimators=50, max_depth=3, random_state=0), load_breast_cancer),
    "forest": (RandomForestClassifier(n_estimators=20, max_depth=4, random_state=0), load_breast_cancer),
    "tree": (DecisionTreeClassifier(max_depth=5, random_state=0), load_breast_cancer),
    "deep tree": (DecisionTreeClassifier(random_state=0), load_digits),
    "extra trees": (ExtraTreesClassifier(n_estimators=5, max_depth=6, random_state=0), load_wine),
    "boosting": (GradientBoostingClassifier(n_estimators=10, random_state=0), load_wine),
    "histogram": (HistGradientBoostingClassifier(max_iter=10, max_depth=4, random_state=0), load_breast_cancer),
    "lightgbm": (LGBMClassifier(n_estimators=10, num_leaves=15, random_state=0, verbosity=-1), load_wine),
    "xgboost digits": (XGBClassifier(n_estimators=5, max_depth=3, random_state=0), load_digits),
}
REGRESSORS = {
    "xgboost": XGBRegressor(n_estimators=50, max_depth=3, random_state=0),
    "lightgbm": LGBMRegressor(n_estimators=10, max_depth=4, random_state=0, verbosity=-1),
    "forest": RandomForestRegressor(n_estimators=10, max_depth=5, random_state=0),
}


def hostile_rows(estimator, X):
    """Real rows, then rows on thresholds, next to them, missing and huge where the model takes them."""
    ensemble = estimator.ensemble_
    sklearn_trees = not ensemble.strict and ensemble.input_dtype == "float32"
    return np.vstack([X, edge_rows(ensemble, X[:400], nan=ensemble.allow_nan, huge=not sklearn_trees)])


def assert_same_paths(estimator, X):
    """Thresholds lose nothing: every row reaches the same leaf of every tree as in the float model."""
    codes = estimator.quantizer_.transform(X)
    np.testing.assert_array_equal(
        decision_leaves(estimator.ensemble_, X), decision_leaves(estimator.quantized_ensemble_, codes)
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name):
    model, load = CLASSIFIERS[name]
    X, y = load(return_X_y=True)
    X_train, _, y_train, _ = train_test_split(X, y, random_state=0)
    clf = FHEClassifier(model).fit(X_train, y_train).compile()
    rows = hostile_rows(clf, X)
    scores = clf._scores(rows, "execute")
    np.testing.assert_array_equal(scores, clf._scores(rows, "disable"))
    assert_same_paths(clf, rows)
    bound = score_error_bound(clf.ensemble_, clf.quantized_ensemble_)
    low, high = clf.ensemble_.score_bounds()
    assert np.all(bound <= WORST_SCORE_ERROR * np.maximum(high - low, np.abs(low) + np.abs(high)).max())
    assert_labels(clf, rows, scores, bound.max())


def assert_labels(clf, rows, scores, bound):
    """Labels equal the float model's wherever its margin exceeds the rounding of leaves."""
    link = clf.quantized_ensemble_.link
    labels, expected = link.predict(scores, clf.classes_), clf.estimator_.predict(rows)
    if link.name == "sigmoid":
        clear = np.abs(scores[:, 0]) > bound + 1e-5
    else:
        ranked = np.sort(np.column_stack([scores, np.zeros(len(scores))]) if scores.shape[1] == 1 else scores, axis=1)
        clear = ranked[:, -1] - ranked[:, -2] > 2 * bound + 1e-5
        if "average" in link.name:
            best = np.sort(link.apply(scores), axis=1)
            clear = best[:, -1] - best[:, -2] > 2 * bound + 1e-9
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(labels[clear], expected[clear])


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name):
    X, y = load_diabetes(return_X_y=True)
    reg = FHERegressor(REGRESSORS[name]).fit(X, y).compile()
    rows = hostile_rows(reg, X)
    predicted = reg.predict(rows, fhe="execute")
    np.testing.assert_array_equal(predicted, reg.predict(rows))
    np.testing.assert_allclose(predicted, reg.estimator_.predict(rows), atol=1e-4 * np.ptp(y))
    assert_same_paths(reg, rows)


def test_more_rows_than_slots_with_missing_values():
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    X = np.where(rng.random(X.shape) < 0.2, np.nan, X)
    clf = FHEClassifier(XGBClassifier(n_estimators=10, max_depth=3), n_jobs=2).fit(X, y).compile()
    rows = X[rng.integers(len(X), size=9000)]
    np.testing.assert_array_equal(clf.decision_function(rows, fhe="execute"), clf.decision_function(rows))
    np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), clf.estimator_.predict(rows))


def test_isolation_forest():
    X, _ = load_breast_cancer(return_X_y=True)
    forest = FHEIsolationForest(n_estimators=10, contamination=0.05, random_state=0).fit(X).compile()
    rows = hostile_rows(forest, X)
    scores = forest.decision_function(rows, fhe="execute")
    np.testing.assert_array_equal(scores, forest.decision_function(rows))
    np.testing.assert_allclose(scores, forest.estimator_.decision_function(rows), atol=1e-3)


@pytest.mark.parametrize("quantizer", ["uniform", "quantile"])
def test_hidden_bins(quantizer):
    X, y = load_wine(return_X_y=True)
    clf = FHEClassifier(XGBClassifier(n_estimators=4, max_depth=3, random_state=0), quantizer=quantizer)
    clf.fit(X, y).compile()
    np.testing.assert_array_equal(clf.predict_proba(X, fhe="execute"), clf.predict_proba(X))
    assert clf.score(X, y) > 0.95


def test_constant_features_and_a_single_leaf():
    X, y = load_breast_cancer(return_X_y=True)
    constant = np.ones_like(X[:, :3])
    stump = FHEClassifier(DecisionTreeClassifier()).fit(constant, y).compile()
    assert stump.ensemble_.depth == 0
    np.testing.assert_array_equal(stump.predict_proba(constant, fhe="execute"), stump.predict_proba(constant))
    mixed = np.hstack([constant, X[:, :3]])
    clf = FHEClassifier(XGBClassifier(n_estimators=5, max_depth=2)).fit(mixed, y).compile()
    np.testing.assert_array_equal(clf.predict(mixed, fhe="execute"), clf.estimator_.predict(mixed))
