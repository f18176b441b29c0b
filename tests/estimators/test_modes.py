"""The three ways to predict, over every estimator and backend."""

import numpy as np
import pytest

from fhe_estimators import estimators as module
from fhe_estimators.ensembles import evaluate
from fhe_estimators.quantizers import score_error_bound
from tests.estimators.models import BACKENDS, CLASSIFIERS, ESTIMATORS, REGRESSORS, small

QUANTIZERS = ["threshold", "uniform", "quantile"]
#: Everything that returns numbers for rows.
METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples")


def methods_of(estimator):
    return [name for name in METHODS if hasattr(estimator, name)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_modes_agree_exactly(estimator_class, backend, training_set, rows):
    estimator = small(estimator_class, backend=backend).fit(*training_set).compile()
    for method in methods_of(estimator):
        disabled, simulated, executed = (
            getattr(estimator, method)(rows, fhe=mode) for mode in ("disable", "simulate", "execute")
        )
        np.testing.assert_array_equal(executed, disabled)
        np.testing.assert_array_equal(simulated, disabled)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("quantizer", QUANTIZERS[1:])
def test_modes_agree_on_data_quantizers(quantizer, backend, classification):
    X, y = classification
    clf = small(module.FHERandomForest, quantizer=quantizer, backend=backend).fit(X, y).compile()
    np.testing.assert_array_equal(clf.predict_proba(X[:9], fhe="execute"), clf.predict_proba(X[:9]))
    assert clf.score(X, y) > 0.5


@pytest.mark.parametrize("quantizer", QUANTIZERS)
@pytest.mark.parametrize("estimator_class", ESTIMATORS)
def test_scores_stay_within_the_rounding_bound(estimator_class, quantizer, training_set):
    estimator = small(estimator_class, quantizer=quantizer).fit(*training_set)
    X = training_set[0]
    floats = estimator.quantizer_.training_features(X) if quantizer != "threshold" else X
    bound = score_error_bound(estimator.ensemble_, estimator.quantized_ensemble_)
    error = np.abs(estimator._scores(X, "disable") - evaluate(estimator.ensemble_, floats))
    assert np.all(error <= bound + 1e-9)


@pytest.mark.parametrize("estimator_class", CLASSIFIERS)
def test_labels_and_probabilities_are_those_of_the_source(estimator_class, classification):
    X, y = classification
    clf = small(estimator_class).fit(X, y)
    np.testing.assert_array_equal(clf.predict(X), clf.estimator_.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), clf.estimator_.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("estimator_class", REGRESSORS)
def test_values_are_those_of_the_source(estimator_class, regression):
    X, y = regression
    reg = small(estimator_class).fit(X, y)
    np.testing.assert_allclose(reg.predict(X), reg.estimator_.predict(X), atol=1e-4 * np.ptp(y))


def test_scikit_learn_has_two_names(classification):
    X, y = classification
    first, second = (
        small(module.FHEGradientBoosting, library=library).fit(X, y) for library in ("sklearn", "scikit-learn")
    )
    assert type(first.estimator_) is type(second.estimator_)
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_boosting_libraries(library, n_classes, classification):
    X, y = classification[0], classification[1] % n_classes
    clf = small(module.FHEGradientBoosting, library=library).fit(X, y).compile()
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), clf.estimator_.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), clf.estimator_.predict_proba(X), atol=1e-4)
    assert clf.decision_function(X).shape == ((len(X),) if n_classes == 2 else (len(X), n_classes))


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
def test_boosting_libraries_regression(library, regression):
    X, y = regression
    reg = small(module.FHEGradientBoostingRegressor, library=library).fit(X, y).compile()
    np.testing.assert_allclose(reg.predict(X, fhe="execute"), reg.estimator_.predict(X), atol=1e-4 * np.ptp(y))


@pytest.mark.parametrize("backend", BACKENDS)
def test_multi_output(backend, classification, regression):
    X, y = classification
    Y = np.column_stack([y, y % 2])
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(X, Y).compile()
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), clf.estimator_.predict(X))
    probabilities = clf.predict_proba(X, fhe="execute")
    for ours, theirs in zip(probabilities, clf.estimator_.predict_proba(X), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert len(clf.predict_log_proba(X)) == 2 and not hasattr(clf, "decision_function")
    X, y = regression
    reg = small(module.FHEExtraTreesRegressor, backend=backend).fit(X, np.column_stack([y, -y, y**2])).compile()
    assert reg.predict(X[:4], fhe="execute").shape == (4, 3)
    assert 0 < reg.score(X, np.column_stack([y, -y, y**2]), fhe="execute") <= 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_few_rows(backend, n_rows, classification):
    X, y = classification
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(X, y).compile()
    np.testing.assert_array_equal(clf.predict(X[:n_rows], fhe="execute"), clf.predict(X[:n_rows]))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_single_leaf_and_constant_features(backend, quantizer, classification):
    X, y = np.ones((20, 3)), np.arange(20) % 2
    clf = small(module.FHERandomForest, backend=backend, quantizer=quantizer).fit(X, y).compile()
    np.testing.assert_array_equal(clf.predict_proba(X, fhe="execute"), clf.predict_proba(X))
    X, y = classification
    stump = module.FHEDecisionTreeClassifier(min_samples_leaf=100, backend=backend).fit(X, y).compile()
    assert stump.ensemble_.depth == 0
    np.testing.assert_array_equal(stump.predict(X[:3], fhe="execute"), stump.predict(X[:3]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_missing_values(backend, classification):
    X, y = classification[0].copy(), classification[1]
    X[::3, 0] = X[1::4, 2] = np.nan
    for estimator_class in (module.FHEDecisionTreeClassifier, module.FHEGradientBoosting):
        clf = small(estimator_class, backend=backend).fit(X, y).compile()
        np.testing.assert_array_equal(clf.predict(X, fhe="execute"), clf.estimator_.predict(X))


def test_score_of_every_mode(classification, regression):
    clf = small(module.FHEDecisionTreeClassifier).fit(*classification).compile()
    assert clf.score(*classification, fhe="execute") == clf.score(*classification)
    reg = small(module.FHEDecisionTreeRegressor).fit(*regression).compile()
    assert reg.score(*regression, fhe="execute") == reg.score(*regression)


@pytest.mark.parametrize("backend", BACKENDS)
def test_describe(backend, classification):
    clf = small(module.FHEDecisionTreeClassifier, backend=backend).fit(*classification).compile()
    description = clf.program_.describe()
    assert "(feature, threshold) pairs" in description["client_learns"]
    bits = description["security_bits"]
    assert bits == 0 if backend == "clear" else bits >= 128
    assert {"scheme", "depth", "n_ciphertexts", "upload_bytes", "download_bytes", "server_sees"} <= set(description)


@pytest.mark.parametrize("labels", [["no", "yes", "maybe"], [-1, 0, 7], [0.5, 1.0, 2.0], [False, True, True]])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
def test_labels_of_any_type(library, labels, classification):
    if labels[0] == 0.5:
        labels = [1.0, 2.0, 5.0]
    X, y = classification
    y = np.array(labels)[y]
    clf = small(module.FHEGradientBoosting, library=library).fit(X, y)
    np.testing.assert_array_equal(clf.classes_, np.unique(y))
    assert clf.predict(X).dtype == y.dtype and clf.score(X, y) > 0.5


def test_sample_weight_is_used(classification):
    X, y = classification
    for estimator_class in CLASSIFIERS:
        clf = small(estimator_class).fit(X, y, sample_weight=(y != 2).astype(float))
        assert set(clf.predict(X)) == {0, 1}
