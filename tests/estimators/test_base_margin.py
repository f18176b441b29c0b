"""Margins that a data owner adds to scores, and values that stand for missing ones in boosters."""

import numpy as np
import pytest
import xgboost
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy.special import expit
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import FHEClassifier, FHEGradientBoostingClassifier, FHERegressor
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.serving.archive import load_client_archive, save_client_archive

X, Y = load_diabetes(return_X_y=True)
LABELS = (Y > 150).astype(int)
RANDOM = np.random.default_rng(0)
MARGIN = RANDOM.normal(size=len(Y))
SMALL = {"n_estimators": 5, "max_depth": 3}
LGBM = {**SMALL, "verbosity": -1}


@pytest.mark.parametrize("trained_with", [None, MARGIN], ids=["plain", "trained with margins"])
def test_xgboost_in_place_of_the_base_score(trained_with):
    clf = XGBClassifier(base_score=0.3, **SMALL).fit(X, LABELS, base_margin=trained_with)
    ours = FHEClassifier.from_fitted(clf, X, backend="clear").compile()
    np.testing.assert_array_equal(ours.predict(X), clf.predict(X))  # without margins, as XGBoost itself
    for fhe in ("disable", "execute"):
        np.testing.assert_array_equal(ours.predict(X, fhe=fhe, base_margin=MARGIN), clf.predict(X, base_margin=MARGIN))
    expected = clf.predict_proba(X, base_margin=MARGIN)
    np.testing.assert_allclose(ours.predict_proba(X, base_margin=MARGIN), expected, atol=1e-4)
    np.testing.assert_allclose(ours.predict_log_proba(X, base_margin=MARGIN), np.log(expected), atol=1e-3)
    margins = clf.predict(X, base_margin=MARGIN, output_margin=True)
    np.testing.assert_allclose(ours.decision_function(X, base_margin=MARGIN), margins, atol=1e-3)


def test_several_classes_and_logarithms():
    margins = RANDOM.normal(size=(len(Y), 3))
    labels = np.digitize(Y, [100, 200])
    clf = XGBClassifier(**SMALL).fit(X, labels, base_margin=margins)
    ours = FHEClassifier.from_fitted(clf, X)
    np.testing.assert_array_equal(ours.predict(X, base_margin=margins), clf.predict(X, base_margin=margins))
    exposure = np.log(RANDOM.uniform(1, 5, len(Y)))
    reg = XGBRegressor(objective="count:poisson", **SMALL).fit(X, Y // 50, base_margin=exposure)
    expected = reg.predict(X, base_margin=exposure)
    predicted = FHERegressor.from_fitted(reg, X).predict(X, base_margin=exposure)
    np.testing.assert_allclose(predicted, expected, atol=1e-3 * np.ptp(expected))


def test_initial_scores_of_lightgbm_are_added():
    clf = LGBMClassifier(**LGBM).fit(X, LABELS, init_score=MARGIN)
    ours = FHEClassifier.from_fitted(clf, X)
    np.testing.assert_array_equal(ours.predict(X), clf.predict(X))
    expected = expit(clf.predict(X, raw_score=True) + MARGIN)
    np.testing.assert_allclose(ours.predict_proba(X, base_margin=MARGIN)[:, 1], expected, atol=1e-4)
    for model in (LGBMRegressor(**LGBM), GradientBoostingRegressor(**SMALL)):
        reg = FHERegressor.from_fitted(model.fit(X, Y), X)
        np.testing.assert_allclose(reg.predict(X, base_margin=MARGIN), reg.predict(X) + MARGIN, atol=1e-9)


def test_our_fit_and_clients(tmp_path):
    clf = FHEGradientBoostingClassifier(backend="clear", **SMALL)
    clf.fit(X, LABELS, base_margin=MARGIN).compile()
    expected = clf.estimator_.predict(X, base_margin=MARGIN)
    np.testing.assert_array_equal(clf.predict(X, base_margin=MARGIN), expected)
    clf.save_client(tmp_path / "client.fhe")
    clf.save_server(tmp_path / "server.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    keys = client.generate_keys()
    response = server.run(client.encrypt(X), keys)
    np.testing.assert_array_equal(client.decrypt_predict(response, base_margin=MARGIN), expected)
    for ours, theirs in (
        (client.decrypt_proba(response, base_margin=MARGIN), clf.predict_proba(X, base_margin=MARGIN)),
        (client.decrypt_scores(response, base_margin=MARGIN), clf.decision_function(X, base_margin=MARGIN)),
        (client.decrypt_scores(response), clf.decision_function(X)),
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_archives_of_earlier_versions(tmp_path):
    clf = FHEGradientBoostingClassifier(backend="clear", **SMALL).fit(X, LABELS).compile()
    clf.save_client(tmp_path / "client.fhe")
    model = load_client_archive(tmp_path / "client.fhe")
    object.__setattr__(model, "replaced_by_margins", None)
    save_client_archive(tmp_path / "earlier.fhe", model)
    clf.save_server(tmp_path / "server.fhe")
    client = FHEClient.load(tmp_path / "earlier.fhe")
    keys = client.generate_keys()
    response = FHEServer.load(tmp_path / "server.fhe").run(client.encrypt(X), keys)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X))
    with pytest.raises(ValueError, match="save the client archive again"):
        client.decrypt_predict(response, base_margin=MARGIN)


@pytest.mark.parametrize(
    ("margins", "message"),
    [(MARGIN[:-1], r"shape \(441,\).*\(442,\)"), (np.zeros((442, 2)), "shape"), (MARGIN * np.nan, "base_margin")],
    ids=["short", "wide", "missing"],
)
def test_margins_that_do_not_fit(margins, message):
    reg = FHERegressor(XGBRegressor(**SMALL), backend="clear").fit(X, Y)
    with pytest.raises(ValueError, match=message):
        reg.predict(X, base_margin=margins)


def test_averages_are_no_margins():
    clf = FHEClassifier(RandomForestClassifier(3, max_depth=2)).fit(X, LABELS)
    with pytest.raises(ValueError, match="base_margin is for boosted trees"):
        clf.predict(X, base_margin=MARGIN)


def rows_with(missing):
    rows = np.round(X * 50)
    rows[RANDOM.random(rows.shape) < 0.2] = missing
    rows[::7, 1] = np.nan
    return rows


@pytest.mark.parametrize("missing", [-999.0, 0.0])
def test_values_that_stand_for_missing_ones_in_boosters(missing):
    rows = rows_with(missing)
    matrix = xgboost.DMatrix(rows, LABELS, missing=missing)
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 3}, matrix, 5)
    clf = FHEClassifier.from_fitted(booster, rows, missing=missing, backend="clear").compile()
    np.testing.assert_allclose(clf.predict_proba(rows)[:, 1], booster.predict(matrix), atol=1e-4)
    np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), booster.predict(matrix) > 0.5)
    assert clone(clf).estimator.missing == missing
    without = FHEClassifier.from_fitted(booster, rows).predict_proba(rows)[:, 1]
    assert np.abs(without - booster.predict(matrix)).max() > 1e-2


def test_models_that_know_their_missing_values():
    model = XGBClassifier(missing=-999.0, **SMALL).fit(rows_with(-999.0), LABELS)
    with pytest.raises(ValueError, match=r"missing=-999.0 is for boosters of XGBoost.*leave missing out"):
        FHEClassifier.from_fitted(model, missing=-999.0)
