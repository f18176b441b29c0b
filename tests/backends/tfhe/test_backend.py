import sys

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEDecisionTreeClassifier, FHEGradientBoostingClassifier
from fhe_estimators.backends.tfhe import TFHEBackend, _circuit
from fhe_estimators.exceptions import BackendNotAvailableError, ParameterSelectionError
from fhe_estimators.quantizers import UniformQuantizer


@pytest.fixture(scope="module")
def data():
    return load_breast_cancer(return_X_y=True)


def test_settings():
    with pytest.raises(ValueError, match="comparison='both' is unknown"):
        TFHEBackend(comparison="both")
    with pytest.raises(ValueError, match="p_error=2"):
        TFHEBackend(p_error=2)
    assert repr(TFHEBackend("server", 1e-6)) == "TFHEBackend(comparison='server', p_error=1e-06)"


def test_a_missing_library_names_the_extra(monkeypatch, data):
    pytest.importorskip("concrete")
    monkeypatch.setitem(sys.modules, "concrete.fhe", None)
    tree = FHEDecisionTreeClassifier(max_depth=2, backend="tfhe").fit(*data)
    with pytest.raises(BackendNotAvailableError, match=r"fhe-estimators\[tfhe\]"):
        tree.compile()


def test_what_concrete_cannot_live_with_is_named_with_the_fix(monkeypatch):
    pytest.importorskip("concrete")
    with monkeypatch.context() as patch:
        patch.setattr(_circuit.np, "__version__", "2.3.1")
        with pytest.raises(BackendNotAvailableError, match=r'numpy 2\.3\.1 is installed.*pip install "numpy<2"'):
            _circuit.load_concrete()
    monkeypatch.setattr(_circuit, "find_spec", lambda name: None if name == "pkg_resources" else True)
    with pytest.raises(BackendNotAvailableError, match='pip install "setuptools<81"'):
        _circuit.load_concrete()


def test_codes_too_wide_for_tables_are_refused(data):
    pytest.importorskip("concrete")
    model = FHEDecisionTreeClassifier(
        max_depth=2, backend=TFHEBackend("server"), quantizer=UniformQuantizer(n_bits=9)
    ).fit(*data)
    with pytest.raises(ParameterSelectionError, match="n_bits=6"):
        model.compile()


@pytest.mark.slow
@pytest.mark.parametrize(("comparison", "quantizer"), [("client", "threshold"), ("server", UniformQuantizer(n_bits=4))])
def test_real_data(comparison, quantizer, data):
    pytest.importorskip("concrete")
    X, y = data
    model = FHEGradientBoostingClassifier(
        library="xgboost", n_estimators=5, max_depth=3, backend=TFHEBackend(comparison), quantizer=quantizer
    )
    model.fit(X[:400], y[:400]).compile()
    rows = X[400:402]
    np.testing.assert_array_equal(model.predict(rows, fhe="execute"), model.predict(rows))
    np.testing.assert_allclose(model.predict_proba(rows, fhe="execute"), model.predict_proba(rows))
    facts = model.program_.describe()
    assert facts["failure_probability"] <= 2.0**-40
    if comparison == "client":
        assert facts["download_bytes"] <= 20_000
