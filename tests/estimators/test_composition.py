"""Inside scikit-learn's pipelines, searches and meta-estimators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fhe_estimators import estimators as module
from tests.estimators.models import ESTIMATORS, small


def test_pipeline_executes_its_last_step(classification):
    X, y = classification
    pipe = make_pipeline(SimpleImputer(), StandardScaler(), small(module.FHERandomForest)).fit(X, y)
    pipe[-1].compile()
    np.testing.assert_array_equal(pipe.predict(X, fhe="execute"), pipe.predict(X))


def test_grid_search_in_processes(classification):
    X, y = classification
    grid = {"max_depth": [1, 3], "quantizer": ["threshold", "uniform"]}
    search = GridSearchCV(small(module.FHEDecisionTreeClassifier), grid, cv=2, n_jobs=2).fit(X, y)
    best = search.best_estimator_.compile()
    np.testing.assert_array_equal(best.predict(X, fhe="execute"), search.predict(X))


def test_grid_search_over_a_wrapped_estimator(classification):
    grid = {"estimator__max_depth": [1, 3], "estimator__n_estimators": [2, 4]}
    clf = module.FHEClassifier(RandomForestClassifier(random_state=0), backend="clear")
    search = GridSearchCV(clf, grid, cv=2).fit(*classification)
    assert search.best_estimator_.estimator_.max_depth == search.best_params_["estimator__max_depth"]


def test_cross_validation(classification, regression):
    assert cross_val_score(small(module.FHEGradientBoosting), *classification, cv=3).mean() > 0.5
    assert cross_val_score(small(module.FHEGradientBoostingRegressor), *regression, cv=3).shape == (3,)


def test_calibration(classification):
    X, y = classification
    calibrated = CalibratedClassifierCV(small(module.FHERandomForest), cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1.0)


@pytest.mark.parametrize("voting", ["hard", "soft"])
def test_voting(voting, classification):
    X, y = classification
    members = [("tree", small(module.FHEDecisionTreeClassifier)), ("boosting", small(module.FHEGradientBoosting))]
    assert VotingClassifier(members, voting=voting).fit(X, y).score(X, y) > 0.5


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_clone(estimator_class, training_set):
    estimator = small(estimator_class).fit(*training_set).compile()
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params() and not hasattr(copy, "program_")
    copy.fit(*training_set)
    np.testing.assert_array_equal(copy.predict(training_set[0]), estimator.predict(training_set[0]))


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_repr(estimator_class):
    estimator = small(estimator_class)
    assert estimator_class.__name__ in repr(estimator) and estimator_class.__name__ in estimator._repr_html_()


def test_nullable_and_integer_frames(classification):
    X, y = classification
    frame = pd.DataFrame(np.round(X * 10).astype(int), columns=list("abcdef"))
    clf = small(module.FHEDecisionTreeClassifier).fit(frame, y)
    np.testing.assert_array_equal(clf.predict(frame.astype("Int64")), clf.predict(frame))


def test_random_state_of_the_wrapped_estimator(classification):
    clf = module.FHEClassifier(RandomForestClassifier(3), random_state=7, backend="clear").fit(*classification)
    assert clf.estimator_.random_state == 7 and clf.estimator.random_state is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("estimator_class", [module.FHERandomForest, module.FHEGradientBoosting])
def test_float_types(estimator_class, dtype, classification):
    X, y = classification[0].astype(dtype), classification[1]
    clf = small(estimator_class).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), clf.estimator_.predict(X))


def test_verbose_shows_no_output_by_default(classification, capfd):
    X, y = classification
    for estimator_class in ESTIMATORS:
        if "Classifier" in estimator_class.__name__:
            small(estimator_class).fit(X, y).compile().predict(X, fhe="execute")
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""
