"""Models that were trained elsewhere."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.tree import DecisionTreeClassifier

from fhe_estimators.estimators import FHEClassifier, FHERegressor


def xgboost_classifier():
    return pytest.importorskip("xgboost").XGBClassifier(n_estimators=4, max_depth=2)


def lightgbm_classifier():
    return pytest.importorskip("lightgbm").LGBMClassifier(n_estimators=4, max_depth=2, verbosity=-1)


CLASSIFIERS = [
    lambda: DecisionTreeClassifier(max_depth=3, random_state=0),
    lambda: RandomForestClassifier(4, max_depth=3, random_state=0),
    lambda: GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0),
    lambda: HistGradientBoostingClassifier(max_iter=4, max_depth=2),
    xgboost_classifier,
    lightgbm_classifier,
]


@pytest.mark.parametrize("make", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers(make, n_classes, classification):
    X, y = classification[0], classification[1] % n_classes
    model = make().fit(X, y)
    clf = FHEClassifier.from_fitted(model, backend="clear").compile()
    assert clf.estimator_ is model and clf.n_features_in_ == 6
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), model.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X, fhe="execute"), model.predict_proba(X), atol=1e-4)


def test_regressor(regression):
    X, y = regression
    model = ExtraTreesRegressor(4, max_depth=3).fit(X, y)
    reg = FHERegressor.from_fitted(model, X, backend="clear").compile(X)
    np.testing.assert_allclose(reg.predict(X, fhe="execute"), model.predict(X), atol=1e-4 * np.ptp(y))


def test_string_labels_and_multi_output(classification):
    X, y = classification
    names = np.array(["a", "b", "c"])[y]
    model = RandomForestClassifier(3, max_depth=2).fit(X, np.column_stack([names, names]))
    clf = FHEClassifier.from_fitted(model, backend="clear")
    np.testing.assert_array_equal(clf.predict(X), model.predict(X))


def test_feature_names_of_the_model_or_of_the_rows(classification):
    X, y = classification
    frame = pd.DataFrame(X, columns=list("abcdef"))
    with_names = FHEClassifier.from_fitted(DecisionTreeClassifier(max_depth=2).fit(frame, y), backend="clear")
    assert with_names.feature_names_in_.tolist() == list("abcdef")
    model = DecisionTreeClassifier(max_depth=2).fit(X, y)
    assert FHEClassifier.from_fitted(model, frame, backend="clear").feature_names_in_.tolist() == list("abcdef")
    assert not hasattr(FHEClassifier.from_fitted(model, X, backend="clear"), "feature_names_in_")


def test_rows_must_match(classification):
    X, y = classification
    model = DecisionTreeClassifier(max_depth=2).fit(X, y)
    with pytest.raises(ValueError, match="6 features"):
        FHEClassifier.from_fitted(model, X[:, :3], backend="clear")
    with pytest.raises(ValueError, match="6 features"):
        FHEClassifier.from_fitted(model, pd.DataFrame(X[:, :3], columns=list("abc")), backend="clear")


def test_not_fitted():
    with pytest.raises((NotFittedError, ValueError), match="fitted"):
        FHEClassifier.from_fitted(DecisionTreeClassifier(), backend="clear")


def test_quantizers_that_train_on_bins_are_refused(classification):
    model = DecisionTreeClassifier(max_depth=2).fit(*classification)
    with pytest.raises(ValueError, match="cannot be done to a trained model"):
        FHEClassifier.from_fitted(model, backend="clear", quantizer="uniform")


def test_wrong_kind(classification):
    model = DecisionTreeClassifier(max_depth=2).fit(*classification)
    with pytest.raises(ValueError, match="needs a regressor"):
        FHERegressor.from_fitted(model, backend="clear")


def test_clone_and_refit(classification):
    X, y = classification
    clf = clone(FHEClassifier.from_fitted(DecisionTreeClassifier(max_depth=2).fit(X, y), backend="clear"))
    assert not hasattr(clf, "estimator_")
    assert clf.fit(X, y).estimator_ is not clf.estimator


def saved_and_read(model, folder):
    """The booster of a fitted model, through the library's own file."""
    if hasattr(model, "get_booster"):
        model.save_model(folder / "model.json")
        return pytest.importorskip("xgboost").Booster(model_file=folder / "model.json")
    model.booster_.save_model(folder / "model.txt")
    return pytest.importorskip("lightgbm").Booster(model_file=folder / "model.txt")


@pytest.mark.parametrize("make", [xgboost_classifier, lightgbm_classifier])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_boosters_of_classifiers(make, n_classes, classification, tmp_path):
    X, y = classification[0].copy(), classification[1] % n_classes
    X[::5, 0] = np.nan
    model = make().fit(X, y)
    clf = FHEClassifier.from_fitted(saved_and_read(model, tmp_path), backend="clear").compile()
    assert clf.classes_.tolist() == list(range(n_classes)) and clf.n_features_in_ == 6
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), model.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X, fhe="execute"), model.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(clf.estimator_.predict(X), model.predict(X))
    np.testing.assert_allclose(clf.estimator_.predict_proba(X), model.predict_proba(X))
    assert clone(clf).estimator is not clf.estimator


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosters_of_regressors(library, regression, tmp_path):
    module = pytest.importorskip(library)
    model = module.XGBRegressor if library == "xgboost" else module.LGBMRegressor
    model = model(n_estimators=4, max_depth=2).fit(*regression)
    X, y = regression
    reg = FHERegressor.from_fitted(saved_and_read(model, tmp_path), backend="clear").compile()
    np.testing.assert_allclose(reg.predict(X, fhe="execute"), model.predict(X), atol=1e-4 * np.ptp(y))
    np.testing.assert_allclose(reg.estimator_.predict(X), model.predict(X))
    with pytest.raises(ValueError, match="needs a classifier"):
        FHEClassifier.from_fitted(saved_and_read(model, tmp_path), backend="clear")


def test_a_lightgbm_booster_is_not_trained_again(classification, tmp_path):
    model = lightgbm_classifier().fit(*classification)
    clf = FHEClassifier.from_fitted(saved_and_read(model, tmp_path), backend="clear")
    with pytest.raises(TypeError, match="pass an unfitted LGBMClassifier"):
        clf.fit(*classification)
