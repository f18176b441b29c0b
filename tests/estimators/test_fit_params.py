"""Parameters of ``fit`` reach the source library, and its attributes are reached through the estimator."""

import numpy as np
import pytest
from lightgbm import LGBMClassifier, early_stopping
from sklearn.ensemble import RandomForestClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators.estimators import FHEClassifier, FHEGradientBoosting, FHERandomForest, FHERegressor
from fhe_estimators.quantizers import UniformQuantizer

STOPPING = {"early_stopping_rounds": 2}


@pytest.fixture(scope="module")
def halves(classification):
    X, y = classification
    return X[:80], np.array(["no", "yes", "maybe"])[y[:80]], X[80:], np.array(["no", "yes", "maybe"])[y[80:]]


def test_early_stopping_of_xgboost(halves):
    X, y, X_val, y_val = halves
    clf = FHEGradientBoosting(200, learning_rate=1.0, estimator_params=STOPPING, backend="clear")
    clf.fit(X, y, eval_set=[(X_val, y_val)], verbose=False)
    classes, codes = np.unique(y, return_inverse=True)
    model = XGBClassifier(n_estimators=200, max_depth=3, learning_rate=1.0, **STOPPING)
    model.fit(X, codes, eval_set=[(X_val, np.searchsorted(classes, y_val))], verbose=False)
    assert clf.best_iteration == model.best_iteration < 100
    assert clf.ensemble_.n_trees == 3 * (model.best_iteration + 1)
    assert clf.evals_result() == model.evals_result()
    np.testing.assert_allclose(clf.predict_proba(X_val), model.predict_proba(X_val), atol=1e-4)
    np.testing.assert_array_equal(clf.feature_importances_, model.feature_importances_)


def test_callbacks_of_lightgbm(halves):
    X, y, X_val, y_val = halves
    settings = {"n_estimators": 200, "learning_rate": 0.5, "verbosity": -1, "min_child_samples": 5}
    fit = {"eval_set": [(X_val, y_val)], "callbacks": [early_stopping(2, verbose=False)]}
    clf = FHEClassifier(LGBMClassifier(**settings), backend="clear").fit(X, y, **fit)
    fit["callbacks"] = [early_stopping(2, verbose=False)]
    model = LGBMClassifier(**settings).fit(X, y, **fit)
    assert clf.best_iteration_ == model.best_iteration_ < 100
    assert clf.ensemble_.n_trees == 3 * model.best_iteration_
    np.testing.assert_allclose(clf.predict_proba(X_val), model.predict_proba(X_val), atol=1e-4)


def test_evaluation_sets_are_quantized_as_training_sets_are(halves):
    """With the training set as evaluation set, both are alike and so are their losses."""
    X, y, X_val, y_val = halves
    quantizer = UniformQuantizer(2)
    clf = FHEGradientBoosting(5, quantizer=quantizer, backend="clear")
    clf.fit(X, y, eval_set=[(X, y), (X_val, y_val)], verbose=False)
    for name, rows, labels in (("validation_0", X, y), ("validation_1", X_val, y_val)):
        proba = clf.predict_proba(rows)
        loss = -np.log(proba[np.arange(len(rows)), np.searchsorted(clf.classes_, labels)]).mean()
        assert clf.evals_result()[name]["mlogloss"][-1] == pytest.approx(loss, rel=1e-3)


def test_wrong_parameters(halves):
    X, y, X_val, y_val = halves
    with pytest.raises(TypeError, match="'nonsense'"):
        FHEGradientBoosting(2, backend="clear").fit(X, y, nonsense=1)
    with pytest.raises(TypeError, match="'eval_set'"):
        FHERandomForest(2, backend="clear").fit(X, y, eval_set=[(X_val, y_val)])
    with pytest.raises(ValueError, match=r"labels that y does not: \['other'\]"):
        FHEGradientBoosting(2, backend="clear").fit(X, y, eval_set=[(X_val[:1], ["other"])])
    with pytest.raises(ValueError, match="expecting 6 features"):
        FHEGradientBoosting(2, backend="clear").fit(X, y, eval_set=[(X_val[:, :5], y_val)])


def test_attributes_of_the_float_model(classification):
    X, y = classification
    clf = FHEClassifier(RandomForestClassifier(3, oob_score=True, max_depth=2, random_state=0), backend="clear")
    assert not hasattr(clf, "feature_importances_")
    with pytest.raises(AttributeError, match="fit the estimator first"):
        _ = clf.estimators_
    with pytest.warns(UserWarning, match="OOB"):
        clf.fit(X, y)
    np.testing.assert_array_equal(clf.feature_importances_, clf.estimator_.feature_importances_)
    assert len(clf.estimators_) == 3 and clf.oob_score_ == clf.estimator_.oob_score_
    assert "feature_importances_" in dir(clf) and "best_iteration" not in dir(clf)
    for name in ("best_iteration", "evals_result", "_validate_X_predict", "n_estimators", "set_fit_request_"):
        assert not hasattr(clf, name)


def test_best_iteration_needs_early_stopping(regression):
    reg = FHERegressor(XGBRegressor(n_estimators=2), backend="clear").fit(*regression)
    assert not hasattr(reg, "best_iteration") and reg.get_booster().num_boosted_rounds() == 2
