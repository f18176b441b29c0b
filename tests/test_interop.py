"""Concrete ML's models.

Its exact pins exclude ours: the tests that need it run in an environment of its own, by ``make test-peers``.
"""

import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.tree import DecisionTreeClassifier

from fhe_estimators import FHEClassifier, FHEDecisionTreeClassifier
from fhe_estimators.ensembles import ensemble_from_model
from fhe_estimators.ensembles._from_concrete_ml import largest_inputs
from fhe_estimators.exceptions import BackendNotAvailableError, UnsupportedModelError
from fhe_estimators.interop import from_concrete_ml, to_concrete_ml


class Rounding:
    """Quantizes as Concrete ML does, with numpy alone."""

    def __init__(self, scale, zero_point, n_bits):
        self.scale, self.zero_point, self.n_bits = scale, zero_point, n_bits

    def quant(self, values):
        return np.rint(values / self.scale + self.zero_point).clip(0, 2**self.n_bits - 1).astype(np.int64)


@pytest.fixture
def stand_in():
    """A model with the attributes of Concrete ML's, made from a tree over 4-bit codes of breast cancer."""
    X, y = load_breast_cancer(return_X_y=True)
    quantizers = [Rounding((c.max() - c.min()) / 15, -15 * c.min() / (c.max() - c.min()), 4) for c in X.T]
    codes = np.stack([q.quant(c) for q, c in zip(quantizers, X.T, strict=True)], axis=1)
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(codes, y)
    attributes = {"__module__": "concrete.ml.sklearn.tree", "fit": None}
    cls = type("DecisionTreeClassifier", (ClassifierMixin, BaseEstimator), attributes)
    model = cls()
    model.sklearn_model, model.input_quantizers, model.classes_ = tree, quantizers, tree.classes_
    model.onnx_model_ = None
    return model, X, codes


def test_comparisons_of_codes_become_comparisons_of_features(stand_in):
    model, X, codes = stand_in
    estimator = FHEClassifier.from_fitted(model, backend="clear").compile()
    np.testing.assert_array_equal(estimator.predict(X, fhe="execute"), model.sklearn_model.predict(codes))
    # On the very edges of quantization too.
    edges = np.nextafter(estimator.ensemble_.threshold, np.inf)
    inner = np.flatnonzero(~estimator.ensemble_.is_leaf)
    for node in inner:
        rows = np.tile(X[:1], (2, 1))
        rows[:, estimator.ensemble_.feature[node]] = estimator.ensemble_.threshold[node], edges[node]
        coded = np.stack([q.quant(c) for q, c in zip(model.input_quantizers, rows.T, strict=True)], axis=1)
        assert (coded[0] != coded[1]).sum() == 1
        np.testing.assert_array_equal(estimator.predict_proba(rows), model.sklearn_model.predict_proba(coded))


@given(st.floats(1e-6, 1e6), st.floats(-100, 100), st.integers(0, 14))
def test_largest_inputs_are_the_edges(scale, zero_point, code):
    quantize = Rounding(scale, zero_point, 4).quant
    (edge,) = largest_inputs(quantize, np.array([code]))
    assert quantize(edge) <= code < quantize(np.nextafter(edge, np.inf))


def test_a_comparison_that_decides_nothing_is_refused():
    with pytest.raises(UnsupportedModelError, match="no quantized value passes"):
        largest_inputs(Rounding(1.0, 0.0, 4).quant, np.array([15]))


def test_what_is_no_tree_model_is_refused():
    model = type("LogisticRegression", (BaseEstimator,), {"__module__": "concrete.ml.sklearn", "fit": None})()
    model.onnx_model_ = None
    with pytest.raises(UnsupportedModelError, match="LogisticRegression is not a fitted tree model of Concrete ML"):
        ensemble_from_model(model)


def test_models_on_bins_cannot_be_converted():
    X, y = load_breast_cancer(return_X_y=True)
    tree = FHEDecisionTreeClassifier(max_depth=2, quantizer="uniform").fit(X, y)
    with pytest.raises(UnsupportedModelError, match="quantizer='threshold'"):
        to_concrete_ml(tree, X)


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "concrete.ml", ModuleType("concrete.ml"))
    monkeypatch.setitem(sys.modules, "concrete.ml.sklearn", None)
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.raises(BackendNotAvailableError, match="pip install concrete-ml"):
        to_concrete_ml(DecisionTreeClassifier(max_depth=2).fit(X, y), X)


def concrete_ml_models():
    return {
        "tree": ("DecisionTreeClassifier", {"max_depth": 5, "random_state": 0}),
        "forest": ("RandomForestClassifier", {"n_estimators": 10, "max_depth": 4, "random_state": 0}),
        "xgboost": ("XGBClassifier", {"n_estimators": 10, "max_depth": 3, "random_state": 0}),
    }


@pytest.mark.parametrize("name", ["tree", "forest", "xgboost"])
def test_models_of_concrete_ml(name):
    models = pytest.importorskip("concrete.ml.sklearn")
    cls, parameters = concrete_ml_models()[name]
    X, y = load_breast_cancer(return_X_y=True)
    model = getattr(models, cls)(n_bits=6, **parameters).fit(X[:400], y[:400])
    estimator = from_concrete_ml(model, backend="ckks").compile()
    rows = X[400:]
    expected = model.sklearn_model.predict_proba(model.quantize_input(rows))
    np.testing.assert_allclose(estimator.predict_proba(rows, fhe="execute"), expected, atol=1e-4)
    # Concrete ML rounds leaves to 6 bits: labels may differ where a probability is within that rounding of a half.
    decided = np.abs(expected[:, 0] - 0.5) > 0.05
    assert decided.mean() > 0.9
    np.testing.assert_array_equal(estimator.predict(rows)[decided], model.predict(rows)[decided])


def test_regressors_of_concrete_ml():
    models = pytest.importorskip("concrete.ml.sklearn")
    X, y = load_diabetes(return_X_y=True)
    model = models.DecisionTreeRegressor(n_bits=6, max_depth=4, random_state=0).fit(X, y)
    estimator = from_concrete_ml(model)
    expected = model.sklearn_model.predict(model.quantize_input(X))
    np.testing.assert_allclose(estimator.predict(X), expected, rtol=1e-4)


def test_to_concrete_ml():
    pytest.importorskip("concrete.ml.sklearn")
    X, y = load_breast_cancer(return_X_y=True)
    tree = DecisionTreeClassifier(max_depth=4, random_state=0).fit(X, y)
    model = to_concrete_ml(FHEClassifier.from_fitted(tree), X, n_bits=10)
    assert np.mean(model.predict(X) == tree.predict(X)) > 0.99
