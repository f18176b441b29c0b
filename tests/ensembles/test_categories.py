"""Splits on categories go where each library sends them: known, unknown, missing and impossible ones."""

import numpy as np
import pandas as pd
import pytest
import xgboost
from lightgbm import Booster as LightGBMBooster
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from xgboost import Booster as XGBoostBooster
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.serving import FHEClient, FHEServer

N_ROWS = 2000
#: XGBoost has the values of categories in its models since 3.1.
RECORDS_CATEGORIES = tuple(int(part) for part in xgboost.__version__.split(".")[:2]) >= (3, 1)
XGB = {"n_estimators": 8, "max_depth": 4, "enable_categorical": True, "max_cat_to_onehot": 3}
LGBM = {"n_estimators": 8, "max_depth": 4, "verbosity": -1, "min_child_samples": 5, "min_data_per_group": 5}
HIST = {"max_iter": 8, "max_depth": 4, "random_state": 0}


def table(seed=0, n_rows=N_ROWS, *, ordered=False, missing=True):
    """Countries, numeric codes of trades, numbers; some are missing."""
    random = np.random.default_rng(seed)
    country = pd.Series(random.choice(["Spain", "Peru", "Iran", "Cuba", "Chad", "Oman", "Fiji"], n_rows))
    trade = pd.Series(random.choice([30, 4, 17, 8, 21], n_rows))
    age = random.normal(size=n_rows)
    y = age + country.isin(["Iran", "Fiji", "Spain"]) * 1.5 - trade.isin([4, 21]) + random.normal(size=n_rows) / 3
    frame = pd.DataFrame({"age": age, "country": country.astype("category"), "trade": trade.astype("category")})
    if ordered:
        frame["trade"] = frame["trade"].cat.as_ordered()
    if missing:
        frame.loc[random.random(n_rows) < 0.1, "country"] = np.nan
        frame.loc[random.random(n_rows) < 0.1, "trade"] = np.nan
        frame.loc[random.random(n_rows) < 0.1, "age"] = np.nan
    return frame, y.to_numpy()


def unseen(frame):
    """The same rows with other orders of categories, and some that training did not see."""
    frame = frame.copy()
    frame["country"] = frame["country"].cat.set_categories(["Laos", *reversed(frame["country"].cat.categories)])
    frame["trade"] = frame["trade"].cat.add_categories([99])
    frame.loc[frame.index[::9], "country"] = "Laos"
    frame.loc[frame.index[::11], "trade"] = 99
    return frame


def unseen_by(model, frame):
    """The same, but for XGBoost, which refuses categories that it does not know: in another order only."""
    rows = unseen(frame)
    if "xgboost" not in type(model).__module__:
        return rows
    for name in ("country", "trade"):
        rows[name] = rows[name].where(rows[name].isin(frame[name].cat.categories)).cat.remove_unused_categories()
        if not RECORDS_CATEGORIES:  # and takes codes for what they were in training, whatever they are of
            rows[name] = rows[name].cat.set_categories(frame[name].cat.categories)
    return rows


CLASSIFIERS = {
    "xgboost": lambda: XGBClassifier(**XGB),
    "lightgbm": lambda: LGBMClassifier(**LGBM),
    "hist": lambda: HistGradientBoostingClassifier(**HIST),
    "hist-names": lambda: HistGradientBoostingClassifier(categorical_features=["country", "trade"], **HIST),
}
REGRESSORS = {
    "xgboost": lambda: XGBRegressor(**XGB),
    "lightgbm": lambda: LGBMRegressor(**LGBM),
    "hist": lambda: HistGradientBoostingRegressor(early_stopping=True, **HIST),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("missing", [False, True])
def test_classifiers_of_frames(name, n_classes, missing):
    frame, y = table(missing=missing)
    labels = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    model = CLASSIFIERS[name]().fit(frame, labels)
    clf = FHEClassifier.from_fitted(model, frame, backend="clear").compile()
    assert clf.n_features_in_ == 3 and clf.feature_names_in_.tolist() == ["age", "country", "trade"]
    assert clf.ensemble_.encoding.sets
    for rows in (frame, unseen_by(model, frame), table(1)[0]):
        np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), model.predict(rows))
        np.testing.assert_allclose(clf.predict_proba(rows), model.predict_proba(rows), atol=1e-4)


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_and_clients(name, tmp_path):
    frame, y = table()
    model = REGRESSORS[name]().fit(frame, y)
    reg = FHERegressor.from_fitted(model, frame).compile()
    rows = unseen_by(model, table(2)[0])
    np.testing.assert_allclose(reg.predict(rows), model.predict(rows), atol=1e-4 * np.ptp(y))
    reg.save_server(tmp_path / "server.fhe")
    reg.save_client(tmp_path / "client.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    assert client.n_features_in_ == 3
    keys = client.generate_keys()
    np.testing.assert_array_equal(client.decrypt_predict(server.run(client.encrypt(rows), keys)), reg.predict(rows))


def arrays(frame):
    """Rows with codes in place of categories, negative, fractional and impossible ones included."""
    rows = np.column_stack([frame["age"], *(frame[name].cat.codes.astype(float) for name in ("country", "trade"))])
    random = np.random.default_rng(3)
    odd = [-1, -0.5, 0.5, 1.9, 31, 32, 33, 64, 1000, 1e9, 5e9, np.nan, -7.0, 2.0]
    for column in (1, 2):
        rows[::5, column] = random.choice(odd, len(rows[::5]))
    return rows


@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "hist"])
def test_arrays_of_codes(library):
    frame, y = table()
    labels = (y > y.mean()).astype(int)
    known = np.column_stack([frame["age"], *(frame[name].cat.codes.astype(float) for name in ("country", "trade"))])
    known[known[:, 1] < 0, 1] = np.nan
    known[known[:, 2] < 0, 2] = np.nan
    if library == "xgboost":
        model = XGBClassifier(feature_types=["q", "c", "c"], **XGB).fit(known, labels)
    elif library == "lightgbm":
        model = LGBMClassifier(**LGBM).fit(known, labels, categorical_feature=[1, 2])
    else:
        model = HistGradientBoostingClassifier(categorical_features=[1, 2], **HIST).fit(known, labels)
    clf = FHEClassifier.from_fitted(model, backend="clear").compile()
    assert clf.ensemble_.encoding.sets
    for rows in (known, arrays(frame)):
        np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), model.predict(rows))
        np.testing.assert_allclose(clf.predict_proba(rows), model.predict_proba(rows), atol=1e-4)


@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosters_from_files(library, tmp_path):
    frame, y = table()
    labels = (y > y.mean()).astype(int)
    model = CLASSIFIERS[library]().fit(frame, labels)
    if library == "xgboost":
        model.save_model(tmp_path / "model.json")
        booster = XGBoostBooster(model_file=tmp_path / "model.json")
    else:
        model.booster_.save_model(tmp_path / "model.txt")
        booster = LightGBMBooster(model_file=tmp_path / "model.txt")
    for X in (None, frame) if library == "lightgbm" or RECORDS_CATEGORIES else (frame,):
        clf = FHEClassifier.from_fitted(booster, X, backend="clear").compile()
        rows = unseen_by(model, frame)
        np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), model.predict(rows))


@pytest.mark.parametrize("settings", [{"categorical_feature": "auto"}, {"categorical_feature": []}], ids=str)
def test_ordered_categories_of_lightgbm(settings):
    frame, y = table(ordered=True)
    labels = (y > y.mean()).astype(int)
    model = LGBMClassifier(**LGBM).fit(frame, labels, **settings)
    with pytest.raises(ValueError, match="pass rows of the training set"):
        FHEClassifier.from_fitted(model, backend="clear")
    clf = FHEClassifier.from_fitted(model, frame, backend="clear").compile()
    for rows in (frame, unseen(frame)):
        np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), model.predict(rows))


def test_unknown_categories_of_xgboost():
    """Some versions score them as the known category that follows in order; the newest ones raise an error."""
    frame, y = table()
    reg = FHERegressor.from_fitted(XGBRegressor(**XGB).fit(frame, y), frame, backend="clear")
    for name, unknown in (("country", "Laos"), ("country", "Aruba"), ("trade", 5), ("trade", 99)):
        rows = frame[:50].assign(**{name: frame[name].cat.add_categories([unknown])})
        known = reg.predict(rows)  # that there are such categories does not matter
        np.testing.assert_array_equal(known, reg.predict(frame[:50]))
        rows.loc[rows.index[3], name] = unknown
        with pytest.raises(ValueError, match=f"Column '{name}' holds {unknown!r}, a category that"):
            reg.predict(rows)


@pytest.mark.parametrize("missing", [-999.0, 0.0, -1.0])
def test_values_that_stand_for_missing_ones_in_xgboost(missing):
    frame, y = table()
    X = np.column_stack([frame["age"].fillna(missing), np.round(y), np.arange(len(y)) % 5 - 1.0])
    model = XGBClassifier(n_estimators=8, max_depth=4, missing=missing).fit(X, y > 0)
    clf = FHEClassifier.from_fitted(model, backend="clear").compile()
    X[::7, 1] = np.nan
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), model.predict(X))
    np.testing.assert_allclose(clf.predict_proba(X), model.predict_proba(X), atol=1e-5)
    np.testing.assert_array_equal(clf.fit(X, y > 0).predict(X), clf.estimator_.predict(X))


def test_contributions_are_of_columns():
    frame, y = table()
    reg = FHERegressor.from_fitted(XGBRegressor(**XGB).fit(frame, y), frame, backend="clear")
    found = reg.predict_contributions(frame)
    assert found.shape == (len(frame), 4)
    np.testing.assert_allclose(found.sum(axis=1), reg.predict(frame), atol=1e-4 * np.ptp(y))
