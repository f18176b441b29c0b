"""Rows to predict: in blocks of bounded memory, and refused by the name of the column that the model cannot read."""

import tracemalloc
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMRegressor
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from fhe_estimators import FHEClassifier, FHEDecisionTreeRegressor, FHEIsolationForest, FHERegressor
from fhe_estimators.estimators import FHEContributions
from fhe_estimators.quantizers import UniformQuantizer
from fhe_estimators.serving import FHEClient
from fhe_estimators.utils import _blocks

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(500, 4))
Y = X[:, 0] - X[:, 1] * X[:, 2]
MODELS = {
    "forest": RandomForestRegressor(5, max_depth=4, random_state=0),
    "hist": HistGradientBoostingRegressor(max_iter=5),
    "lightgbm": LGBMRegressor(n_estimators=5, verbosity=-1),
    "xgboost": XGBRegressor(n_estimators=5, max_depth=3),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "container",
    [np.asarray, np.asfortranarray, pd.DataFrame, np.ndarray.tolist, sparse.csr_matrix, sparse.csc_array],
)
def test_blocks_do_not_change_predictions(name, container, monkeypatch):
    rows = container(np.round(X, 1))
    if isinstance(rows, list):
        rows[0] = [int(value) for value in rows[0]]  # alone, these would be integers, which LightGBM rounds
    reg = FHERegressor(MODELS[name], backend="clear").fit(container(X), Y)
    at_once = reg.predict(rows), reg.predict_contributions(rows)
    monkeypatch.setattr(_blocks, "BLOCK_ENTRIES", 28)
    np.testing.assert_array_equal(reg.predict(rows), at_once[0])
    np.testing.assert_array_equal(reg.predict_contributions(rows), at_once[1])


def test_preprocessing_sees_all_rows(monkeypatch):
    """A transformer that looks at the rows beside one another must not see them in blocks."""

    class Centred(StandardScaler):
        def transform(self, X):
            return X - X.mean(axis=0)

    model = make_pipeline(Centred(), MODELS["hist"]).fit(X, Y)
    reg = FHERegressor.from_fitted(model, backend="clear")
    monkeypatch.setattr(_blocks, "BLOCK_ENTRIES", 28)
    np.testing.assert_allclose(reg.predict(X), model.predict(X), atol=1e-4)


@pytest.mark.parametrize("quantizer", ["threshold", UniformQuantizer(4)])
def test_memory_does_not_grow_with_codes(quantizer):
    """Codes of all rows would take half of the memory of the rows."""
    reg = FHEDecisionTreeRegressor(max_depth=4, backend="clear", quantizer=quantizer, random_state=0)
    wide = np.tile(X[:200], 50).astype(np.float32)
    reg.fit(wide, Y[:200])
    rows = np.tile(wide, (200, 1))
    assert rows.nbytes == 32e6
    peaks = []
    for n_rows in (20_000, 40_000):
        tracemalloc.start()
        found = reg.predict(rows[:n_rows])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    np.testing.assert_array_equal(found, np.tile(reg.predict(wide), 200))
    assert peaks[1] - peaks[0] < 4e6


def test_no_rows():
    reg = FHERegressor(MODELS["hist"], backend="clear").fit(X, Y)
    for rows in (X[:0], pd.DataFrame(X[:0]), sparse.csr_matrix(X[:0])):
        with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
            reg.predict(rows)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["Spain", "Peru"], "no numbers .*'Spain'.*OrdinalEncoder or OneHotEncoder"),
        (pd.Categorical(["Spain", "Peru"]), "category|no numbers .*'Spain'"),
        ([date(2020, 1, 1), date(2021, 1, 1)], "no numbers"),
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "dates or times"),
        (pd.to_timedelta([1, 2], unit="D"), "dates or times"),
        ([b"Spain", b"Peru"], "no numbers .*b'Spain'"),
        ([1.5, "Spain"], "no numbers .*'Spain'"),
        ([(1, 2), (3, 4)], "no numbers"),
        ([1j, 2j], "complex"),
    ],
    ids=["str", "category", "date", "datetime", "timedelta", "bytes", "mixed", "tuple", "complex"],
)
def test_columns_that_are_no_numbers_are_named(name, values, what, tmp_path):
    frame = pd.DataFrame(X, columns=list("abcd"))
    reg = FHERegressor(MODELS[name], backend="clear").fit(frame, Y).compile()
    rows = frame[:2].assign(c=values)
    match = rf"[Cc]olumn 'c' (holds|has (d?)type) .*({what})"
    with pytest.raises((TypeError, ValueError), match=match):
        reg.predict(rows)
    reg.save_client(tmp_path / "client.fhe")
    with pytest.raises((TypeError, ValueError), match=match):
        FHEClient.load(tmp_path / "client.fhe").quantize(rows)
    if "category" not in what:
        with pytest.raises((TypeError, ValueError), match=match):
            FHERegressor(MODELS[name], backend="clear").fit(rows, Y[:2])


def test_only_dates():
    frame = pd.DataFrame({"a": pd.to_datetime(["2020-01-01", "2021-01-01"] * 30)})
    with pytest.raises(ValueError, match=r"Column 'a' holds dates or times .*\.dt\.days"):
        FHEDecisionTreeRegressor(backend="clear").fit(frame, np.arange(60))
    with pytest.raises(ValueError, match="Column 'a' holds dates or times"):
        FHEIsolationForest(backend="clear").fit(frame)
    with pytest.raises(ValueError, match="Column 0 holds dates or times"):
        FHEDecisionTreeRegressor(backend="clear").fit(frame.to_numpy(), np.arange(60))


def test_arrays_of_objects():
    reg = FHERegressor(MODELS["forest"], backend="clear").fit(X, Y)
    table = X.astype(object)
    table[:, 1] = [Decimal(str(value)) for value in table[:, 1]]
    np.testing.assert_array_equal(reg.predict(table), reg.predict(X))
    table[3, 2] = "Spain"
    for rows in (table, table.tolist()):
        with pytest.raises(ValueError, match=r"Column 2 holds no numbers .*'Spain'"):
            reg.predict(rows)


def test_nullable_columns():
    frame = pd.DataFrame(np.round(X), columns=list("abcd"))
    nullable = frame.convert_dtypes()
    assert {str(dtype) for dtype in nullable.dtypes} == {"Int64"}
    nullable.loc[::7, "a"] = pd.NA
    frame.loc[::7, "a"] = np.nan
    nullable["b"], frame["b"] = (frame["b"] > 0).astype("boolean"), (frame["b"] > 0).astype(float)
    for name in MODELS:
        reg = FHERegressor(MODELS[name], backend="clear").fit(nullable, Y)
        np.testing.assert_array_equal(reg.predict(nullable), reg.predict(frame))
        np.testing.assert_allclose(reg.predict(frame), reg.estimator_.predict(frame.to_numpy()), atol=1e-3)


def test_contributions_have_no_reading_of_their_own():
    reg = FHERegressor(MODELS["forest"], backend="clear").fit(pd.DataFrame(X, columns=list("abcd")), Y)
    with pytest.raises(ValueError, match="FHERegressor is expecting 4 features"):
        FHEContributions(reg).fit().predict(X[:, :3])


@pytest.mark.parametrize("container", [np.asarray, np.ndarray.tolist, pd.DataFrame])
@pytest.mark.parametrize("name", ["lightgbm", "hist"])
def test_wide_integers_are_trained_on_as_the_library_reads_them(name, container):
    """LightGBM rounds arrays of integers to float32, and does not round those of a DataFrame."""
    seconds = (1.7e9 + 1e4 * X).astype(np.int64)
    rows = container(seconds)
    model = clone(MODELS[name]).fit(seconds if isinstance(rows, list) else rows, Y)
    reg = FHERegressor(MODELS[name], backend="clear").fit(rows, Y)
    np.testing.assert_allclose(
        reg.predict(rows), model.predict(seconds if isinstance(rows, list) else rows), atol=1e-4 * np.ptp(Y)
    )


def test_bins_of_wide_integers():
    """Bins are made of integers as they are, in training and in predictions."""
    seconds = (1.7e9 + 1e2 * X).astype(np.int64)
    reg = FHERegressor(MODELS["lightgbm"], quantizer=UniformQuantizer(6), backend="clear").fit(seconds, Y)
    bins = reg.quantizer_.training_features(seconds)
    np.testing.assert_allclose(reg.predict(seconds), clone(MODELS["lightgbm"]).fit(bins, Y).predict(bins), atol=1e-3)


@pytest.mark.parametrize("quantizer", ["uniform", "quantile"])
def test_bins_are_of_numbers_that_none_stands_for_a_missing_one(quantizer):
    xgboost = pytest.importorskip("xgboost")
    X, y = load_breast_cancer(return_X_y=True)
    X[::7, 3] = -999
    clf = FHEClassifier(xgboost.XGBClassifier(n_estimators=2, missing=-999), quantizer=quantizer, backend="clear")
    with pytest.raises(ValueError, match=r"has missing=-999, and the quantizer .* quantizer='threshold', or NaN"):
        clf.fit(X, y)
