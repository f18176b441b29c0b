"""``fit`` on columns of categories: splits as the source library makes them, or a word about what becomes of them."""

import json
import pickle
import re
from datetime import date
from decimal import Decimal

import lightgbm
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import (
    FHEClassifier,
    FHEDecisionTreeRegressor,
    FHEGradientBoosting,
    FHEGradientBoostingRegressor,
    FHEIsolationForest,
    FHERandomForest,
    FHERegressor,
)
from fhe_estimators.ensembles import RowEncoding
from fhe_estimators.exceptions import UnsupportedModelError
from fhe_estimators.serving import FHEClient, FHEServer
from tests.ensembles.test_categories import HIST, LGBM, XGB, table, unseen_by

LIBRARIES = {
    "xgboost": {"estimator_params": {"max_cat_to_onehot": 3}},
    "lightgbm": {"estimator_params": {"min_child_samples": 5, "min_data_per_group": 5}},
    "sklearn": {"random_state": 0},
}
#: What trains the same trees without this library.
THEIRS = {
    "xgboost": XGBClassifier(**XGB, learning_rate=0.3),
    "lightgbm": LGBMClassifier(**LGBM, learning_rate=0.3),
    "sklearn": HistGradientBoostingClassifier(**HIST, learning_rate=0.3, early_stopping=False),
}


def boosting(library, **params):
    return FHEGradientBoosting(8, library=library, max_depth=4, backend="clear", **LIBRARIES[library], **params)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("labels", [[0, 1], ["no", "yes", "maybe"]], ids=len)
def test_as_the_library_itself(library, labels):
    frame, y = table()
    y = np.array(labels)[np.digitize(y, np.quantile(y, [0.3, 0.6][: len(labels) - 1]))]
    clf = boosting(library).fit(frame, y).compile(frame)
    codes = np.unique(y, return_inverse=True)[1]
    model = clone(THEIRS[library]).fit(frame, codes)
    assert clf.ensemble_.encoding.sets and clf.feature_names_in_.tolist() == ["age", "country", "trade"]
    for rows in (frame, table(1)[0], unseen_by(model, table(2)[0])):
        np.testing.assert_allclose(clf.predict_proba(rows), model.predict_proba(rows), atol=1e-4)
        np.testing.assert_array_equal(clf.predict(rows, fhe="execute"), np.unique(y)[model.predict(rows)])
        np.testing.assert_allclose(clf.predict_proba(rows), clf.estimator_.predict_proba(rows), atol=1e-4)


@pytest.mark.parametrize("library", LIBRARIES)
def test_regressors_with_weights_and_evaluation_sets(library):
    frame, y = table()
    weights = np.random.default_rng(0).random(len(y))
    reg = FHEGradientBoostingRegressor(30, library=library, max_depth=4, backend="clear")
    if library == "sklearn":
        reg.set_params(
            estimator_params={"early_stopping": True, "n_iter_no_change": 3, "random_state": 0}, random_state=None
        )
        reg = FHERegressor(HistGradientBoostingRegressor(early_stopping=True, random_state=0), backend="clear")
        reg.fit(frame, y, sample_weight=weights)
    elif library == "xgboost":
        reg.set_params(estimator_params={"early_stopping_rounds": 2})
        reg.fit(frame, y, sample_weight=weights, eval_set=[table(1)])
        assert reg.best_iteration < 29
    else:
        reg.fit(frame, y, sample_weight=weights, eval_set=[table(1)])
        assert len(reg.evals_result_["valid_0"]["l2"]) == 30
    assert reg.ensemble_.encoding.sets
    rows = table(2)[0]
    np.testing.assert_allclose(reg.predict(rows), reg.estimator_.predict(rows), atol=1e-4 * np.ptp(y))
    with pytest.raises(ValueError, match="Found input variables with inconsistent numbers of samples"):
        reg.fit(frame, y[1:])
    with pytest.raises(ValueError, match="y contains NaN"):
        reg.fit(frame, np.where(y == y[0], np.nan, y))
    with pytest.raises(ValueError, match="feature names should match"):
        reg.predict(frame.rename(columns={"age": "years"}))


@pytest.mark.parametrize("library", LIBRARIES)
def test_clones_searches_and_pickles(library):
    frame, y = table()
    search = GridSearchCV(boosting(library), {"n_estimators": [2, 5]}, cv=2, error_score="raise").fit(frame, y > 0)
    best = search.best_estimator_.compile()
    assert best.ensemble_.encoding.sets and set(search.cv_results_["mean_test_score"]) != {0.5}
    np.testing.assert_array_equal(search.predict(frame), best.estimator_.predict(frame))
    again = pickle.loads(pickle.dumps(best))
    np.testing.assert_array_equal(again.predict_proba(frame), best.predict_proba(frame))
    other = clone(best).fit(frame, y > 0)
    np.testing.assert_array_equal(other.predict_proba(frame, fhe="disable"), best.predict_proba(frame))
    np.testing.assert_array_equal(other.compile().predict(frame[:20], fhe="execute"), best.predict(frame[:20]))
    assert search.best_estimator_.predict_contributions(frame[:5]).shape == (5, 4)


@pytest.mark.parametrize("library", LIBRARIES)
def test_in_a_pipeline(library):
    frame, y = table()
    columns = make_column_transformer(
        (StandardScaler(), ["age"]), remainder="passthrough", verbose_feature_names_out=False
    )
    columns.set_output(transform="pandas")
    pipeline = make_pipeline(columns, boosting(library)).fit(frame, y > 0)
    assert pipeline[-1].ensemble_.encoding.sets
    np.testing.assert_array_equal(pipeline.predict(frame), pipeline[-1].estimator_.predict(columns.transform(frame)))
    model = make_pipeline(clone(columns), clone(THEIRS[library])).fit(frame, y > 0)
    taken = FHEClassifier.from_fitted(model, frame, backend="clear")
    np.testing.assert_array_equal(taken.predict(frame), model.predict(frame))


@pytest.mark.parametrize("library", LIBRARIES)
def test_archives(library, tmp_path):
    frame, y = table()
    clf = boosting(library).set_params(backend="ckks", max_depth=3).fit(frame, y > 0).compile()
    clf.save_server(tmp_path / "server.fhe")
    clf.save_client(tmp_path / "client.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    keys = client.generate_keys()
    found = client.decrypt_predict(server.run(client.encrypt(frame), keys))
    np.testing.assert_array_equal(found, clf.estimator_.predict(frame))


def test_wrapped_models():
    frame, y = table()
    for model in (XGBRegressor(**XGB), HistGradientBoostingRegressor(categorical_features=["trade"], **HIST)):
        X = (
            frame
            if isinstance(model, XGBRegressor)
            else frame.assign(trade=frame.trade.astype(float)).drop(columns="country")
        )
        reg = FHERegressor(model, backend="clear").fit(X, y)
        assert reg.ensemble_.encoding.sets
        np.testing.assert_allclose(reg.predict(X), clone(model).fit(X, y).predict(X), atol=1e-4 * np.ptp(y))
    numbers = frame.assign(trade=frame.trade.astype(float).fillna(-1), country=frame.country.cat.codes)
    clf = FHEClassifier(LGBMClassifier(**LGBM), backend="clear").fit(numbers, y > 0, categorical_feature=["trade"])
    assert {one.column for one in clf.ensemble_.encoding.sets} == {2}
    np.testing.assert_array_equal(clf.predict(numbers), clf.estimator_.predict(numbers))
    constrained = {"age": -1}
    reg = FHERegressor(XGBRegressor(n_estimators=5, monotone_constraints=constrained), backend="clear").fit(numbers, y)
    assert (np.diff(reg.predict(numbers[:1].loc[[0] * 50].assign(age=np.linspace(-2, 2, 50)))) <= 0).all()


@pytest.mark.parametrize("library", LIBRARIES)
def test_strings_that_are_no_categories(library):
    frame, y = table()
    frame["name"] = frame["country"].astype(object).fillna("Peru")
    with pytest.raises(ValueError, match=r"Column 'name' holds no numbers .*dtype 'category'"):
        boosting(library).fit(frame, y > 0)
    frame["name"] = pd.Timestamp("2020-01-01")
    with pytest.raises(ValueError, match=r"Column 'name' holds dates or times"):
        boosting(library).fit(frame, y > 0)


@pytest.mark.parametrize("quantizer", ["uniform", "quantile"])
def test_bins_have_no_categories(quantizer):
    frame, y = table()
    with pytest.raises(
        ValueError, match=r"no categories \(columns \['country', 'trade'\]\): use quantizer='threshold'"
    ):
        boosting("lightgbm", quantizer=quantizer).fit(frame, y > 0)
    numbers = frame.assign(trade=frame.trade.astype(float)).drop(columns="country")
    with pytest.raises(ValueError, match="no names of columns: use quantizer='threshold'"):
        FHERegressor(
            HistGradientBoostingRegressor(categorical_features=["trade"]), quantizer=quantizer, backend="clear"
        ).fit(numbers, y)
    for model in (
        HistGradientBoostingRegressor(categorical_features=[1]),
        XGBRegressor(feature_types=["q", "c"], enable_categorical=True),
    ):
        with pytest.raises(ValueError, match=r"splits on categories.*use quantizer='threshold'"):
            FHERegressor(model, quantizer=quantizer, backend="clear").fit(numbers.to_numpy(), y)


@pytest.mark.parametrize("ordered", [False, True])
def test_numbers_made_of_categories_are_told(ordered):
    frame, y = table(ordered=ordered, missing=False)
    frame = frame[["age", "trade"]]
    told = r"Columns \['trade'\] have dtype 'category', which \w+ takes as numbers.*OneHotEncoder"
    for model in (
        FHEDecisionTreeRegressor(),
        FHERandomForest(2),
        FHERegressor(),
        FHEClassifier(RandomForestClassifier(2)),
    ):
        with pytest.warns(UserWarning, match=told) as caught:
            model.set_params(backend="clear").fit(frame, y > 0)
        assert caught[0].filename == __file__
        np.testing.assert_allclose(model.predict(frame), model.predict(frame.astype(float)))
    with pytest.warns(UserWarning, match=told) as caught:
        FHEIsolationForest(2, backend="clear").fit(frame)
    assert caught[0].filename == __file__


def test_strings_made_of_categories_are_refused():
    frame, y = table(missing=False)
    for model in (FHEDecisionTreeRegressor(), FHERandomForest(2), FHEIsolationForest(2)):
        with pytest.raises(ValueError, match=r"Column 'country' holds no numbers .*OneHotEncoder"):
            model.fit(frame, y > 0)


def test_a_model_that_is_told_to_know_no_categories():
    frame, y = table(missing=False)
    frame = frame[["age", "trade"]]
    model = HistGradientBoostingClassifier(categorical_features=None, **HIST).fit(frame, y > 0)
    clf = FHEClassifier(model, backend="clear").fit(frame, y > 0)
    assert clf.ensemble_.encoding is None
    np.testing.assert_array_equal(clf.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="enable_categorical"):
        FHEClassifier(XGBClassifier(enable_categorical=False), backend="clear").fit(frame, y > 0)


#: Values of categories, and the libraries that train on them in every version: of others the error says what to do.
KINDS = {
    "str": (["Spain", "Peru", "Iran", "Cuba"], "all"),
    "unicode": (["Ä", "ß", "日本", "", "Ö2", "x"], "all"),
    "many": ([f"c{i}" for i in range(150)], "all"),
    "int": ([30, -4, 17, 8, -1], "all"),
    "bool": ([True, False], "lightgbm sklearn"),
    "float": ([1.5, 2.5, -3.25, 0.1], "lightgbm sklearn"),
    "wide": ([2**40, 2**53 + 2, 2**53 + 4, 5], "all"),
    "nullable": (pd.array([30, 4, 17, 8], dtype="Int64"), "lightgbm"),
    "mixed": (["Spain", 4, 2.5], "lightgbm"),
    "interval": (list(pd.cut(np.arange(9), 3).categories), "sklearn"),
    "decimal": ([Decimal("1.5"), Decimal("2"), Decimal("7")], "sklearn"),
    "date": ([date(2020, 1, 1), date(2021, 1, 1), date(2022, 1, 1)], "sklearn"),
    "datetime": (list(pd.to_datetime(["2020-01-01", "2021-01-01", "2022-05-01"])), ""),
    "period": (list(pd.period_range("2020", "2023", freq="M")[:3]), ""),
}


def of_kind(kind):
    """Rows of such categories, some missing, and targets that depend on them."""
    values, random = KINDS[kind][0], np.random.default_rng(0)
    codes = np.where(random.random(600) < 0.1, -1, random.integers(len(values), size=600))
    frame = pd.DataFrame({"age": random.normal(size=600), "c": pd.Categorical.from_codes(codes, categories=values)})
    return frame, frame["age"] + 3 * np.sin(7.0 * codes)


def refusal_of(estimator, X, y):
    """Why it cannot be trained, if so: libraries take more types from version to version."""
    try:
        estimator.fit(X, y)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_categories(kind, library):
    frame, y = of_kind(kind)
    reg = FHEGradientBoostingRegressor(6, library=library, max_depth=4, backend="clear")
    refusal = refusal_of(reg, frame, y)
    if refusal:
        assert library not in KINDS[kind][1] and KINDS[kind][1] != "all"
        assert re.search(r"Training failed .*Columns \['c'\] have .*make strings of them", refusal)
        frame["c"] = frame["c"].cat.rename_categories(str)
        reg.fit(frame, y)
    expected = reg.estimator_.predict(frame)
    assert reg.ensemble_.encoding.categories
    order = list(frame["c"].cat.categories)[::-1]
    for column in (frame["c"], frame["c"].cat.reorder_categories(order), frame["c"].astype(object)):
        rows = frame.assign(c=column)
        np.testing.assert_allclose(reg.predict(rows), expected, atol=1e-4 * np.ptp(y))
        stored = RowEncoding.from_dict(json.loads(json.dumps(reg.ensemble_.encoding.to_dict())))
        np.testing.assert_array_equal(stored.transform(rows), reg.ensemble_.encoding.transform(rows))


def test_categories_that_the_library_recorded_in_pieces():
    """Some versions of XGBoost cut strings in their bytes, at the positions of characters."""
    frame, y = of_kind("unicode")
    model = XGBRegressor(**XGB).fit(frame, y)
    reg = FHERegressor.from_fitted(model, frame, backend="clear")
    np.testing.assert_allclose(reg.predict(frame), model.predict(frame), atol=1e-4 * np.ptp(y))
    alone = FHERegressor.from_fitted(model, backend="clear")
    if alone.ensemble_.encoding.categories[0].values is None:
        with pytest.raises(ValueError, match="pass rows of the training set as X= to from_fitted"):
            alone.predict(frame)
    else:
        np.testing.assert_array_equal(alone.predict(frame), reg.predict(frame))


def test_boosters_that_cannot_be_written_down():
    frame, y = of_kind("interval")
    data = lightgbm.Dataset(frame, y, params={"verbosity": -1})
    booster = lightgbm.train({"verbosity": -1}, data, 3, keep_training_booster=True)
    with pytest.raises(UnsupportedModelError, match=r"categories of types \['Interval'\] .*make strings of them"):
        FHERegressor.from_fitted(booster, frame)


def test_wide_integers_in_a_column_with_missing_values():
    """scikit-learn makes floats of them, of which some are equal."""
    random = np.random.default_rng(0)
    codes = np.where(random.random(600) < 0.1, -1, random.integers(4, size=600))
    values = [2**40, 2**53 + 1, 2**53 + 2, 5]
    frame = pd.DataFrame({"age": random.normal(size=600), "c": pd.Categorical.from_codes(codes, categories=values)})
    model = HistGradientBoostingRegressor(**HIST).fit(frame, np.sin(codes * 7.0))
    for X in (None, frame):
        reg = FHERegressor.from_fitted(model, X, backend="clear")
        np.testing.assert_allclose(reg.predict(frame), model.predict(frame), atol=1e-4)
