"""Models that do not predict what their trees say are refused, or imported as they predict."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.ensembles import ensemble_from_model
from fhe_estimators.estimators import _import_check
from fhe_estimators.exceptions import UnsupportedModelError
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble


class MedianForest(RandomForestRegressor):
    def predict(self, X):
        return np.median([tree.predict(X) for tree in self.estimators_], axis=0)


class CautiousForest(RandomForestClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X) / 2 + 1 / (2 * self.n_classes_)


class NamedTree(DecisionTreeClassifier):
    """Changes nothing."""


def test_a_subclass_with_predictions_of_its_own_is_refused():
    X, y = load_diabetes(return_X_y=True)
    with pytest.raises(UnsupportedModelError, match=r"MedianForest defines a predict of its own"):
        FHERegressor.from_fitted(MedianForest(5, max_depth=3, random_state=0).fit(X, y))
    with pytest.raises(UnsupportedModelError, match="CautiousForest defines a predict_proba of its own"):
        ensemble_from_model(CautiousForest(5, max_depth=3, random_state=0).fit(X, y > 100))


def test_a_method_that_was_set_on_the_object_is_refused():
    X, y = load_diabetes(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=2).fit(X, y > 100)
    model.predict_proba = lambda X: np.full((len(X), 2), 0.5)
    with pytest.raises(UnsupportedModelError, match="set on the object"):
        ensemble_from_model(model)


def test_a_subclass_that_changes_nothing_is_imported():
    X, y = load_breast_cancer(return_X_y=True)
    model = NamedTree(max_depth=3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(FHEClassifier.from_fitted(model, X).predict(X), model.predict(X))


def test_an_xgboost_booster_predicts_with_all_rounds_as_it_does_itself():
    xgboost = pytest.importorskip("xgboost")
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(0)
    noisy = np.where(rng.random(len(y)) < 0.2, 1 - y, y)
    train, valid = xgboost.DMatrix(X[:300], noisy[:300]), xgboost.DMatrix(X[300:], noisy[300:])
    parameters = {"objective": "binary:logistic", "max_depth": 3}
    booster = xgboost.train(
        parameters, train, 60, evals=[(valid, "valid")], early_stopping_rounds=5, verbose_eval=False
    )
    assert booster.best_iteration + 1 < booster.num_boosted_rounds()
    clf = FHEClassifier.from_fitted(booster, X)
    np.testing.assert_allclose(clf.predict_proba(X)[:, 1], booster.predict(xgboost.DMatrix(X)), atol=1e-4)
    np.testing.assert_array_equal(clf.estimator_.predict_proba(X)[:, 1], booster.predict(xgboost.DMatrix(X)))


@pytest.mark.parametrize("objective", ["multi:softprob", "multi:softmax"])
def test_multi_class_xgboost_boosters(objective):
    xgboost = pytest.importorskip("xgboost")
    X, y = load_diabetes(return_X_y=True)
    labels = np.digitize(y, [100, 200])
    booster = xgboost.train({"objective": objective, "num_class": 3, "max_depth": 2}, xgboost.DMatrix(X, labels), 5)
    clf = FHEClassifier.from_fitted(booster, X)
    predicted = booster.predict(xgboost.DMatrix(X))
    expected = predicted.argmax(axis=1) if predicted.ndim == 2 else predicted.astype(int)
    np.testing.assert_array_equal(clf.predict(X), expected)


def test_an_xgboost_regressor_of_probabilities():
    xgboost = pytest.importorskip("xgboost")
    X, y = load_breast_cancer(return_X_y=True)
    model = xgboost.XGBRegressor(objective="binary:logistic", n_estimators=5, max_depth=2).fit(X, y)
    reg = FHERegressor.from_fitted(model, X)
    np.testing.assert_allclose(reg.predict(X), model.predict(X), atol=1e-4)


def test_a_link_that_multiplies_the_rounding_of_scores():
    xgboost = pytest.importorskip("xgboost")
    X, y = load_diabetes(return_X_y=True)
    settings = {"n_estimators": 20, "max_depth": 2, "learning_rate": 1e-3, "base_score": 1e30}
    model = xgboost.XGBRegressor(objective="count:poisson", **settings).fit(X, y / y.mean() * 1e30)
    expected = model.predict(X)
    np.testing.assert_allclose(FHERegressor.from_fitted(model, backend="clear").predict(X), expected, rtol=1e-4)


@pytest.mark.parametrize("ordered", [True, False])
def test_lightgbm_columns_of_pandas_categories_are_refused(ordered):
    lightgbm = pytest.importorskip("lightgbm")
    rng = np.random.default_rng(0)
    levels = rng.choice(["low", "high", "middle"], 400)
    frame = pd.DataFrame({"level": pd.Categorical(levels, ordered=ordered), "x": rng.normal(size=400)})
    model = lightgbm.LGBMClassifier(n_estimators=5, verbosity=-1).fit(frame, levels == "high", categorical_feature=[])
    for trained in (model, model.booster_):
        with pytest.raises(UnsupportedModelError, match="categor"):
            FHEClassifier.from_fitted(trained)


def test_trees_that_do_not_predict_what_the_model_does_are_an_error(monkeypatch):
    X, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, y)
    evaluate = _import_check.evaluate
    monkeypatch.setattr(_import_check, "evaluate", lambda ensemble, rows: evaluate(ensemble, rows) + 0.01)
    with pytest.raises(UnsupportedModelError, match=r"The first is row 0 of .* the model predicts \["):
        FHEClassifier.from_fitted(model)


def test_samples_of_the_user_are_compared_as_well(monkeypatch):
    X, y = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(5, max_depth=3, random_state=0).fit(X, y)
    theirs = model.predict_proba(X)
    monkeypatch.setattr(_import_check, "samples_around_thresholds", lambda ensemble: X[:1])
    monkeypatch.setattr(
        RandomForestClassifier, "predict_proba", lambda self, rows: theirs[: len(rows)] + 0.1 * (len(rows) > 1)
    )
    with pytest.raises(UnsupportedModelError, match="row 0 of X"):
        FHEClassifier.from_fitted(model, X)


@pytest.mark.parametrize("allow_nan", [True, False])
def test_samples_lie_around_thresholds(allow_nan):
    ensemble = random_ensemble(np.random.default_rng(0), allow_nan=allow_nan)
    samples = _import_check.samples_around_thresholds(ensemble)
    assert np.isnan(samples).any() == allow_nan
    for feature in range(ensemble.n_features):
        thresholds = np.unique(ensemble.threshold[(ensemble.feature == feature) & ~ensemble.is_leaf])
        for wanted in (thresholds, np.nextafter(thresholds, -np.inf), np.nextafter(thresholds, np.inf)):
            assert np.isin(wanted, samples[:, feature]).all()
