"""Isolation forests against scikit-learn's."""

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from fhe_estimators.estimators import FHEIsolationForest


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(0)
    return np.concatenate([generator.normal(size=(120, 3)), generator.normal(8, 1, size=(8, 3))])


@pytest.mark.parametrize("contamination", ["auto", 0.1])
@pytest.mark.parametrize("params", [{}, {"max_features": 2}, {"bootstrap": True, "max_samples": 30}])
def test_agrees_with_scikit_learn(contamination, params, rows):
    params = {"n_estimators": 8, "random_state": 0, "contamination": contamination, **params}
    source = IsolationForest(**params).fit(rows)
    ours = FHEIsolationForest(backend="clear", **params).fit(rows).compile()
    np.testing.assert_array_equal(ours.predict(rows, fhe="execute"), source.predict(rows))
    np.testing.assert_allclose(ours.score_samples(rows, fhe="execute"), source.score_samples(rows), atol=1e-4)
    np.testing.assert_allclose(ours.decision_function(rows), source.decision_function(rows), atol=1e-4)
    assert ours.offset_ == pytest.approx(source.offset_, abs=1e-4)


def test_contamination_is_the_share_of_outliers(rows):
    forest = FHEIsolationForest(n_estimators=8, contamination=0.125, random_state=0, backend="clear")
    assert np.mean(forest.fit_predict(rows) == -1) == pytest.approx(0.125)


def test_the_offset_survives_compile_and_reaches_the_link(rows):
    forest = FHEIsolationForest(n_estimators=4, contamination=0.1, random_state=0, backend="clear").fit(rows)
    before = forest.decision_function(rows)
    np.testing.assert_array_equal(forest.compile().decision_function(rows, fhe="execute"), before)
    assert forest.program_.ensemble.link.offset == forest.offset_


def test_refit_without_contamination_forgets_the_offset(rows):
    forest = FHEIsolationForest(n_estimators=4, contamination=0.2, random_state=0, backend="clear").fit(rows)
    forest.set_params(contamination="auto").fit(rows)
    assert forest.offset_ == forest.quantized_ensemble_.link.offset == -0.5
