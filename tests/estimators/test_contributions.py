"""Contributions of features: those of the source libraries, or of a walk by hand; and equal on ciphertexts."""

import itertools
import pickle
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fhe_estimators import FHEClassifier, FHEGradientBoostingClassifier, FHEIsolationForest, FHERegressor
from fhe_estimators.ensembles import contribution_ensemble, ensemble_from_model
from fhe_estimators.estimators import FHEContributions
from fhe_estimators.exceptions import NotCompiledError, UnsupportedModelError
from fhe_estimators.serving import FHEClient, FHEServer

CANCER, IRIS, DIABETES = (load(return_X_y=True) for load in (load_breast_cancer, load_iris, load_diabetes))


def walk(tree, X, values):
    """Contributions of one tree of scikit-learn, from the values of the nodes on each row's path."""
    n_outputs = values.shape[1]
    found = np.zeros((len(X), n_outputs, X.shape[1] + 1))
    found[:, :, -1] = values[0]
    for row, path in enumerate(tree.decision_path(X.astype(np.float32))):
        nodes = path.indices
        for parent, child in itertools.pairwise(nodes):
            found[row, :, tree.feature[parent]] += values[child] - values[parent]
    return found


def probabilities(tree):
    return tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)


@pytest.mark.parametrize("missing", [False, True])
def test_they_are_those_of_xgboost(missing):
    xgboost = pytest.importorskip("xgboost")
    X, y = CANCER
    if missing:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    clf = FHEClassifier(xgboost.XGBClassifier(n_estimators=30, max_depth=4), backend="clear").fit(X, y)
    expected = clf.estimator_.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True, approx_contribs=True)
    found = clf.predict_contributions(X)
    np.testing.assert_allclose(found, expected, atol=2e-4)
    np.testing.assert_allclose(found.sum(axis=1), clf.decision_function(X), atol=1e-4)


@pytest.mark.parametrize("objective", ["reg:squarederror", "count:poisson"])
def test_they_are_those_of_regressors_of_xgboost(objective):
    xgboost = pytest.importorskip("xgboost")
    X, y = DIABETES
    model = xgboost.XGBRegressor(n_estimators=20, max_depth=3, objective=objective).fit(X, y)
    expected = model.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True, approx_contribs=True)
    found = FHERegressor.from_fitted(model, backend="clear").predict_contributions(X)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


def test_they_are_those_of_three_classes_of_xgboost():
    xgboost = pytest.importorskip("xgboost")
    X, y = IRIS
    model = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(X, y)
    expected = model.get_booster().predict(xgboost.DMatrix(X), pred_contribs=True, approx_contribs=True)
    clf = FHEClassifier.from_fitted(model, backend="clear")
    found = clf.predict_contributions(X)
    assert found.shape == (150, 3, 5)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=2), clf.decision_function(X), atol=1e-4)


def test_they_are_those_of_lightgbm_where_these_are_no_more():
    """LightGBM has Shapley values only, which are path attributions if a tree compares one feature."""
    lightgbm = pytest.importorskip("lightgbm")
    X, y = CANCER
    stumps = lightgbm.LGBMClassifier(n_estimators=40, num_leaves=2, verbose=-1).fit(X, y)
    found = FHEClassifier.from_fitted(stumps, backend="clear").predict_contributions(X)
    np.testing.assert_allclose(found, stumps.predict(X, pred_contrib=True), atol=1e-4)
    trees = lightgbm.LGBMClassifier(n_estimators=20, num_leaves=15, verbose=-1).fit(X, y)
    clf = FHEClassifier.from_fitted(trees, backend="clear")
    found = clf.predict_contributions(X)
    np.testing.assert_allclose(found[:, -1], trees.predict(X, pred_contrib=True)[:, -1], atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), clf.decision_function(X), atol=1e-4)


def test_a_tree_and_a_forest_by_hand():
    X, y = CANCER
    tree = DecisionTreeClassifier(max_depth=5, random_state=0).fit(X, y)
    found = FHEClassifier.from_fitted(tree, backend="clear").predict_contributions(X)
    np.testing.assert_allclose(found, walk(tree.tree_, X, probabilities(tree.tree_))[:, 1], atol=1e-4)
    X, y = IRIS
    forest = RandomForestClassifier(n_estimators=8, max_depth=4, random_state=0, class_weight="balanced").fit(X, y)
    clf = FHEClassifier.from_fitted(forest, backend="clear")
    found = clf.predict_contributions(X)
    by_hand = np.mean([walk(e.tree_, X, probabilities(e.tree_)) for e in forest.estimators_], axis=0)
    np.testing.assert_allclose(found, by_hand, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=2), clf.predict_proba(X), atol=1e-4)


def test_gradient_boosting_by_hand():
    X, y = CANCER
    model = GradientBoostingClassifier(n_estimators=15, random_state=0).fit(X, y)
    ensemble = ensemble_from_model(model)
    # Leaves have values of their own there, of which inner nodes have the means.
    clf = FHEClassifier.from_fitted(model, backend="clear")
    found = clf.predict_contributions(X)
    mean = ensemble.base_score[0] + sum(
        0.1 * np.average(t.value[t.children_left < 0, 0, 0], weights=t.weighted_n_node_samples[t.children_left < 0])
        for t in (stage[0].tree_ for stage in model.estimators_)
    )
    np.testing.assert_allclose(found[:, -1], mean, atol=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), model.decision_function(X), atol=1e-4)


def test_several_outputs_and_features_that_nothing_depends_on():
    X, y = DIABETES
    Y = np.c_[y, 1e6 + 1e3 * X[:, 2]]
    model = ExtraTreesRegressor(n_estimators=5, max_depth=4, random_state=0).fit(np.c_[X, np.zeros(len(X))], Y)
    rows = np.c_[X, np.zeros(len(X))]
    reg = FHERegressor.from_fitted(model, backend="clear")
    found = reg.predict_contributions(rows)
    assert found.shape == (len(X), 2, 12)
    by_hand = np.mean([walk(e.tree_, rows, e.tree_.value[:, :, 0]) for e in model.estimators_], axis=0)
    np.testing.assert_allclose(found, by_hand, atol=1e-4 * np.ptp(Y, axis=0).max())
    assert (found[:, :, 10] == 0).all()
    np.testing.assert_allclose(found.sum(axis=2), reg.predict(rows), rtol=1e-4)


def test_histogram_gradient_boosting_sums_to_its_score():
    X, y = DIABETES
    model = HistGradientBoostingRegressor(max_iter=10, max_leaf_nodes=2).fit(X, y)
    found = FHERegressor.from_fitted(model, backend="clear").predict_contributions(X)
    np.testing.assert_allclose(found.sum(axis=1), model.predict(X), atol=1e-2)
    # Trees of one comparison: every row's values in a column are one of two means a tree.
    used = {int(predictor.nodes["feature_idx"][0]) for (predictor,) in model._predictors}
    assert set(np.flatnonzero(np.abs(found[:, :-1]).max(axis=0))) == used
    counts = model._predictors[0][0].nodes["count"]
    assert counts[0] == len(X) and abs(found[:, :-1].mean()) < 1e-3 * np.ptp(y)  # training rows cancel out


@pytest.mark.parametrize("backend", ["clear", "ckks", "bfv", "auto"])
def test_all_modes_agree(backend):
    pytest.importorskip("xgboost")
    X, y = IRIS
    clf = FHEGradientBoostingClassifier(n_estimators=3, max_depth=2, backend=backend).fit(X, y).compile()
    expected = clf.predict_contributions(X)
    np.testing.assert_array_equal(clf.predict_contributions(X, fhe="execute"), expected)
    np.testing.assert_allclose(clf.predict_contributions(X, fhe="simulate"), expected, atol=1e-12)


@pytest.mark.parametrize("quantizer", ["uniform", "quantile"])
def test_bins_are_what_contributes_where_models_are_trained_on_them(quantizer):
    X, y = DIABETES
    reg = FHERegressor(DecisionTreeRegressor(max_depth=4), quantizer=quantizer, backend="ckks").fit(X, y).compile()
    found = reg.predict_contributions(X[:20], fhe="execute")
    by_hand = walk(reg.estimator_.tree_, reg.source_features(X[:20]), reg.estimator_.tree_.value[:, :, 0])[:, 0]
    np.testing.assert_allclose(found, by_hand, atol=1e-4 * np.ptp(y))


def test_client_and_server_apart(tmp_path):
    X, y = DIABETES
    reg = FHERegressor(DecisionTreeRegressor(max_depth=3), backend="ckks").fit(X, y)
    contributions = FHEContributions(reg).fit().compile()
    contributions.save_server(tmp_path / "server.fhe")
    contributions.save_client(tmp_path / "client.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    keys = client.generate_keys()
    found = client.decrypt_predict(server.run(client.encrypt(X[:5]), keys))
    np.testing.assert_array_equal(found, reg.predict_contributions(X[:5]))


def test_a_compiled_model_is_needed_and_refitting_discards():
    X, y = IRIS
    clf = FHEClassifier(DecisionTreeClassifier(max_depth=2), backend="clear").fit(X, y)
    with pytest.raises(NotCompiledError, match="FHEClassifier"):
        clf.predict_contributions(X, fhe="execute")
    with pytest.raises(ValueError, match="fhe='encrypt' is unknown"):
        clf.predict_contributions(X, fhe="encrypt")
    clf.compile()
    before = clf.predict_contributions(X, fhe="execute")
    copied = pickle.loads(pickle.dumps(clf))
    assert not any("_process_parties" in vars(model) for model in (copied, copied.contributions_))
    np.testing.assert_array_equal(copied.predict_contributions(X, fhe="execute"), before)
    clf.fit(X, y == 1)
    assert clf.predict_contributions(X).shape == (150, 5)
    with pytest.raises(NotCompiledError):
        clf.predict_contributions(X, fhe="execute")


def test_what_has_no_contributions():
    assert not hasattr(FHEIsolationForest(), "predict_contributions")
    ensemble = ensemble_from_model(DecisionTreeRegressor(max_depth=2).fit(*DIABETES))
    with pytest.raises(UnsupportedModelError, match="how many training samples"):
        contribution_ensemble(replace(ensemble, cover=None))
    with pytest.raises(UnsupportedModelError, match="cover must not be negative"):
        replace(ensemble, cover=-ensemble.cover)
