"""Scores on the border between two predictions, which are broken as the source library breaks them."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier

from fhe_estimators.ensembles import ensemble_from_model, evaluate
from fhe_estimators.ensembles.links import IsolationLink, SigmoidLink, SoftmaxLink

CLASSES = np.array(["first", "second", "third"])
TINIEST = np.nextafter(0.0, 1.0)


@pytest.mark.parametrize(("positive_on_tie", "of_zero"), [(True, "second"), (False, "first")])
def test_a_margin_of_zero(positive_on_tie, of_zero):
    link = SigmoidLink(positive_on_tie=positive_on_tie)
    scores = np.array([[-TINIEST], [0.0], [-0.0], [TINIEST]])
    assert link.predict(scores, CLASSES[:2]).tolist() == ["first", of_zero, of_zero, "second"]


def test_the_first_of_equal_classes():
    scores = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 2.0], [3.0, 0.0, 3.0]])
    assert SoftmaxLink().predict(scores, CLASSES).tolist() == ["first", "second", "first"]


def test_the_border_of_outliers_is_inside():
    link = IsolationLink(divisor=1.0, offset=-1.0)
    assert link.decision(np.zeros((1, 1))) == 0
    assert link.predict(np.array([[0.0], [-1e-9], [1.0]])).tolist() == [1, -1, 1]


def test_boosting_of_scikit_learn_where_nothing_is_learnt():
    X, y = np.zeros((4, 1)), np.array(["first", "second"] * 2)
    model = GradientBoostingClassifier(n_estimators=1).fit(X, y)
    ensemble = ensemble_from_model(model)
    scores = evaluate(ensemble, X)
    assert not scores.any()
    np.testing.assert_array_equal(ensemble.link.predict(scores, model.classes_), model.predict(X))


def test_lightgbm_reads_tiny_values_as_zero():
    """Thresholds such that a value of either sign is compared as 0 would be."""
    pytest.importorskip("lightgbm")
    from fhe_estimators.ensembles._from_lightgbm import _ZERO, _thresholds

    dumped = np.array([0.0, TINIEST, _ZERO, -TINIEST, -_ZERO, 1.0, -1e300])
    values = np.array([-1.0, -_ZERO, -TINIEST, 0.0, TINIEST, _ZERO, 2 * _ZERO, 1.0])
    as_read = np.where(np.abs(values) <= _ZERO, 0.0, values)
    thresholds = _thresholds(dumped)
    left = as_read[:, None] <= np.where(np.abs(dumped) >= 1e300, np.copysign(np.inf, dumped), dumped)
    np.testing.assert_array_equal(values[:, None] <= thresholds, left)
