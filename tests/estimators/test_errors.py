"""Wrong use gives a clear error and changes nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from fhe_estimators import estimators as module
from fhe_estimators.exceptions import NotCompiledError, UnsupportedModelError
from tests.estimators.models import ESTIMATORS, small


@pytest.mark.parametrize("mode", ["simulate", "execute"])
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_not_compiled(estimator_class, mode, training_set):
    estimator = small(estimator_class).fit(*training_set)
    with pytest.raises(NotCompiledError, match=r"call .*compile\(\) after fit"):
        estimator.predict(training_set[0], fhe=mode)


@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_not_fitted(estimator_class):
    estimator = small(estimator_class)
    for call in (estimator.compile, lambda: estimator.predict([[0.0]]), lambda: estimator.save_server("x")):
        with pytest.raises(NotFittedError, match="not fitted"):
            call()


@pytest.mark.parametrize("mode", ["encrypted", True, None, "EXECUTE"])
def test_unknown_mode(mode, classification):
    clf = small(module.FHEDecisionTreeClassifier).fit(*classification).compile()
    with pytest.raises(ValueError, match=r"use one of .*disable.*simulate.*execute"):
        clf.predict(classification[0], fhe=mode)


def test_refit_discards_the_program(classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier).fit(X, y).compile()
    clf.predict(X, fhe="execute")
    clf.fit(X, y)
    assert not hasattr(clf, "program_") and "_process_client" not in vars(clf)
    with pytest.raises(NotCompiledError):
        clf.predict(X, fhe="execute")


def test_a_failed_refit_loses_nothing(classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier).fit(X, y).compile()
    clf.set_params(max_depth=-1)
    with pytest.raises(ValueError, match="max_depth"):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), clf.predict(X))


def test_fit_keeps_parameters(classification, regression):
    for estimator_class in ESTIMATORS:
        estimator = small(estimator_class)
        before = estimator.get_params()
        estimator.fit(*(regression if "Regressor" in estimator_class.__name__ else classification))
        assert estimator.get_params() == before


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"backend": "fancy"}, "backend='fancy' is unknown: use one of"),
        ({"quantizer": "fancy"}, "quantizer='fancy' is unknown: use one of"),
        ({"device": "cuda"}, "device='cuda' is not supported by the 'clear' backend"),
    ],
)
def test_unknown_parameters(params, message, classification):
    with pytest.raises(ValueError, match=message):
        small(module.FHEDecisionTreeClassifier, **params).fit(*classification)


def test_wrong_rows(classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier).fit(X, y).compile()
    for fhe in ("disable", "simulate", "execute"):
        with pytest.raises(ValueError, match="expecting 6 features"):
            clf.predict(X[:, :5], fhe=fhe)
        with pytest.raises(ValueError, match="0 sample"):
            clf.predict(X[:0], fhe=fhe)
        with pytest.raises(ValueError, match="could not convert string to float"):
            clf.predict(np.full((2, 6), "text", dtype=object), fhe=fhe)
    with pytest.raises(ValueError, match="expecting 6 features"):
        clf.compile(X[:, :5])
    assert hasattr(clf, "program_")


def test_feature_names(classification):
    X, y = classification
    frame = pd.DataFrame(X, columns=list("abcdef"))
    clf = small(module.FHEDecisionTreeClassifier).fit(frame, y).compile(frame)
    assert clf.feature_names_in_.tolist() == list("abcdef")
    np.testing.assert_array_equal(clf.predict(frame, fhe="execute"), clf.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(frame[list("abcdfe")])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)


def test_non_numeric_columns(classification):
    X, y = classification
    frame = pd.DataFrame(X).assign(colour="red")
    frame.columns = frame.columns.astype(str)
    with pytest.raises(ValueError, match="could not convert string to float"):
        small(module.FHEDecisionTreeClassifier).fit(frame, y)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("estimator_class", [module.FHERandomForest, module.FHEDecisionTreeClassifier])
def test_trees_of_scikit_learn_refuse_infinity(estimator_class, value, classification):
    X, y = classification
    bad = X.copy()
    bad[3, 1] = value
    clf = small(estimator_class).fit(X, y)
    for call in (lambda: small(estimator_class).fit(bad, y), lambda: clf.predict(bad)):
        with pytest.raises(ValueError, match="infinity or a value too large"), np.errstate(over="ignore"):
            call()


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
def test_boosted_trees_predict_infinity_as_their_library_does(library, classification):
    X, y = classification
    clf = small(module.FHEGradientBoosting, library=library).fit(X, y).compile()
    bad = X.copy()
    bad[3, 1], bad[4, 2], bad[5, 0] = np.inf, -np.inf, 1e300
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(clf.predict(bad, fhe="execute"), clf.estimator_.predict(bad))


@pytest.mark.parametrize(
    "source",
    [
        RandomForestClassifier(4, max_depth=2, random_state=0),
        RandomForestClassifier(4, max_depth=2, random_state=0, monotonic_cst=[1, 0, 0, 0, 0, 0]),
        GradientBoostingClassifier(n_estimators=4, random_state=0),
    ],
    ids=["forest", "monotonic forest", "boosting"],
)
def test_missing_values_are_refused_where_the_model_refuses_them(source, classification):
    X, y = classification[0], classification[1] % 2
    bad = X.copy()
    bad[0, 0] = np.nan
    clf = module.FHEClassifier(source, backend="clear").fit(X, y)
    try:
        expected = clf.estimator_.predict(bad)  # with constraints, from scikit-learn 1.9 on
    except ValueError:
        with pytest.raises(ValueError, match="NaN"):
            clf.predict(bad)
    else:
        assert not isinstance(source, GradientBoostingClassifier)
        np.testing.assert_array_equal(clf.predict(bad), expected)


@pytest.mark.parametrize("estimator_class", [module.FHEGradientBoosting])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_one_class(estimator_class, library, classification):
    X, y = classification
    with pytest.raises(ValueError, match="one class"):
        small(estimator_class, library=library).fit(X, np.zeros_like(y))


def test_continuous_targets_of_a_classifier(classification):
    with pytest.raises(ValueError, match="Unknown label type"):
        small(module.FHEGradientBoosting).fit(classification[0], classification[0][:, 0])


def test_meta_estimators_check_their_kind(classification):
    X, y = classification
    with pytest.raises(ValueError, match="needs a classifier, got RandomForestRegressor"):
        module.FHEClassifier(RandomForestRegressor(2), backend="clear").fit(X, y)
    with pytest.raises(ValueError, match="needs a regressor, got RandomForestClassifier"):
        module.FHERegressor(RandomForestClassifier(2), backend="clear").fit(X, y)
    with pytest.raises(UnsupportedModelError):
        module.FHEClassifier(LogisticRegression(), backend="clear").fit(X, y)


@pytest.mark.parametrize("library", ["pytorch", None, "XGBoost"])
def test_unknown_library(library, classification):
    with pytest.raises(ValueError, match=r"use one of .*xgboost.*lightgbm.*sklearn"):
        module.FHEGradientBoosting(library=library, backend="clear").fit(*classification)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
@pytest.mark.parametrize("name", ["n_estimators", "learning_rate", "n_jobs"])
def test_estimator_params_conflicts(library, name, classification):
    clf = module.FHEGradientBoosting(library=library, backend="clear", estimator_params={name: 1})
    with pytest.raises(ValueError, match=rf"estimator_params must not set \['{name}'\]"):
        clf.fit(*classification)


def test_estimator_params(classification):
    clf = small(module.FHEGradientBoosting, estimator_params={"reg_lambda": 3.0}).fit(*classification)
    assert clf.estimator_.reg_lambda == 3.0
    clf = small(module.FHEGradientBoosting, library="sklearn", estimator_params={"early_stopping": True})
    assert clf.fit(*classification).estimator_.early_stopping is True
