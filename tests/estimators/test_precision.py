"""Leaf rounding: relative to the range of each output, and blind to ties."""

from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.ensemble import RandomForestRegressor as Forest
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.backends.clear import ClearBackend
from fhe_estimators.exceptions import ParameterSelectionError
from fhe_estimators.quantizers import quantize_leaves

X, y = load_diabetes(return_X_y=True)
STANDARD = (y - y.mean()) / y.std()

REGRESSORS = {
    "tree": DecisionTreeRegressor(max_depth=4, random_state=0),
    "forest": Forest(10, max_depth=4, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=20, random_state=0),
}
if find_spec("lightgbm"):
    from lightgbm import LGBMRegressor

    common = {"n_estimators": 20, "max_depth": 3, "verbose": -1}
    REGRESSORS |= {"lightgbm": LGBMRegressor(**common), "huber": LGBMRegressor(objective="huber", **common)}


def relative_errors(model, targets, backend="clear"):
    reg = FHERegressor(model, backend=backend).fit(X, targets).compile()
    rows = X[::9]
    predicted, floats = reg.predict(rows, fhe="execute"), reg.estimator_.predict(rows)
    np.testing.assert_array_equal(predicted, reg.predict(rows))
    return np.abs(predicted - floats).max(axis=0) / np.ptp(floats, axis=0)


@pytest.mark.parametrize("backend", ["clear", "ckks"])
@pytest.mark.parametrize("units", [(1e4, 1 / 346), (1.0, 1e-9), (1e12, 1.0)])
def test_each_output_has_a_scale_of_its_own(units, backend):
    assert relative_errors(REGRESSORS["forest"], np.outer(y, units), backend).max() <= 1e-4


@pytest.mark.parametrize("name", REGRESSORS)
@pytest.mark.parametrize(("offset", "spread"), [(1.7e9, 20_000.0), (-122.3, 0.1), (1e6, 30.0)])
def test_precision_is_relative_to_the_range(name, offset, spread):
    assert relative_errors(REGRESSORS[name], offset + spread * STANDARD) <= 1e-4


@pytest.mark.parametrize("model", [DecisionTreeClassifier, RandomForestClassifier, ExtraTreesClassifier])
def test_tied_classes_stay_tied(model):
    rng = np.random.default_rng(0)
    for seed in range(10):
        rows, labels = rng.integers(0, 3, (60, 3)).astype(float), rng.integers(0, rng.integers(2, 6), 60)
        sizes = {} if model is DecisionTreeClassifier else {"n_estimators": 4}
        clf = FHEClassifier(model(max_depth=2, random_state=seed, **sizes), backend="clear").fit(rows, labels)
        np.testing.assert_array_equal(clf.predict(rows), clf.estimator_.predict(rows))


@pytest.mark.parametrize("n_classes", [2, 3, 5, 7])
def test_a_balanced_leaf_is_the_first_class(n_classes):
    rows, labels = np.zeros((n_classes, 1)), np.arange(n_classes)
    clf = FHEClassifier(DecisionTreeClassifier(), backend="ckks").fit(rows, labels).compile()
    assert clf.predict(rows[:1], fhe="execute") == clf.estimator_.predict(rows[:1]) == [0]


def test_leaves_that_a_backend_rounds_too_coarsely_are_an_error():
    class Coarse(ClearBackend):
        def quantize(self, ensemble, quantizer):
            return quantize_leaves(quantizer.quantize_thresholds(ensemble), 8)

    reg = FHERegressor(REGRESSORS["forest"], backend=Coarse()).fit(X, y)
    with pytest.raises(ParameterSelectionError, match="of their range"):
        reg.compile()
