"""Sparse rows: absent entries mean what they mean in each library, and predictions are those of the brought model."""

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy import sparse
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators.estimators import FHEClassifier, FHEGradientBoosting, FHEIsolationForest, FHERegressor
from fhe_estimators.inspection import compare_with_cleartext
from fhe_estimators.quantizers import QuantileQuantizer, UniformQuantizer
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.utils import _blocks, _sparse

FORMATS = [
    sparse.csr_matrix,
    sparse.csc_matrix,
    sparse.coo_matrix,
    sparse.csr_array,
    sparse.csc_array,
    sparse.coo_array,
]
#: Models whose trees were trained on sparse rows; those of XGBoost learned where missing values go.
CLASSIFIERS = {
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "extra trees": ExtraTreesClassifier(4, max_depth=3, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=4, max_depth=2, random_state=0),
    "xgboost": XGBClassifier(n_estimators=4, max_depth=3),
    "lightgbm": LGBMClassifier(n_estimators=4, max_depth=3, min_child_samples=3, verbosity=-1),
}
REGRESSORS = {
    "forest": RandomForestRegressor(4, max_depth=3, random_state=0),
    "xgboost": XGBRegressor(n_estimators=4, max_depth=3),
    "lightgbm": LGBMRegressor(n_estimators=4, max_depth=3, min_child_samples=3, verbosity=-1),
}


@pytest.fixture(scope="module")
def rows():
    """Sparse rows of mixed signs with zeros that are stored: XGBoost tells them from absent ones."""
    random = np.random.default_rng(0)
    X = sparse.random(200, 6, density=0.5, random_state=0, data_rvs=lambda n: np.round(random.normal(size=n), 1))
    X = sparse.csr_matrix(X)
    X.data[::5] = 0.0
    return X


@pytest.fixture(scope="module")
def target(rows):
    dense, stored = rows.toarray(), sparse.csr_matrix((np.ones(rows.nnz), rows.indices, rows.indptr), rows.shape)
    return dense[:, 0] - 2 * dense[:, 1] + 3 * stored.toarray()[:, 2] + dense[:, 3] * dense[:, 4]


@pytest.mark.parametrize("container", FORMATS)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_predict_as_their_library_does(name, container, rows, target):
    X, y = container(rows), (target > 1).astype(int)
    clf = FHEClassifier(CLASSIFIERS[name], backend="clear").fit(X, y).compile(X)
    expected = CLASSIFIERS[name].fit(X, y).predict_proba(X)
    for fhe in ("disable", "simulate", "execute"):
        np.testing.assert_allclose(clf.predict_proba(X, fhe=fhe), expected, atol=1e-4)
        np.testing.assert_array_equal(clf.predict(X, fhe=fhe), expected.argmax(axis=1))
    imported = FHEClassifier.from_fitted(CLASSIFIERS[name], X, backend="clear")
    np.testing.assert_array_equal(imported.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_predict_as_their_library_does(name, rows, target):
    reg = FHERegressor(REGRESSORS[name], backend="clear").fit(rows, target).compile()
    expected = REGRESSORS[name].fit(rows, target).predict(rows)
    np.testing.assert_allclose(reg.predict(rows, fhe="execute"), expected, atol=1e-3)


def test_absent_entries_are_missing_for_xgboost_only(rows, target):
    y = (target > 1).astype(int)
    for name, model in CLASSIFIERS.items():
        clf = FHEClassifier(model, backend="clear").fit(rows, y)
        same = np.array_equal(clf.predict_proba(rows), clf.predict_proba(rows.toarray()))
        assert same == (name != "xgboost")


def test_isolation_forest(rows):
    forest = IsolationForest(n_estimators=5, random_state=0).fit(rows)
    ours = FHEIsolationForest(n_estimators=5, random_state=0, backend="clear").fit(rows).compile()
    np.testing.assert_allclose(ours.decision_function(rows, fhe="execute"), forest.decision_function(rows), atol=1e-4)


@pytest.mark.parametrize("quantizer", [UniformQuantizer(4), QuantileQuantizer(4)])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm", "sklearn"])
def test_quantizers_that_train_on_bins(library, quantizer, rows, target):
    y, absent = (target > 1).astype(int), np.nan if library == "xgboost" else 0.0
    clf = FHEGradientBoosting(4, library=library, quantizer=quantizer, backend="clear").fit(rows, y)
    dense = _sparse.dense_rows(rows, absent)
    same = FHEGradientBoosting(4, library=library, quantizer=quantizer, backend="clear").fit(dense, y)
    np.testing.assert_array_equal(clf.predict_proba(rows), same.predict_proba(dense))
    np.testing.assert_array_equal(clf.predict(rows), clf.estimator_.predict(clf.source_features(rows)))


def test_models_that_take_no_sparse_rows(rows, target):
    y = (target > 1).astype(int)
    model = HistGradientBoostingClassifier(max_iter=4, max_depth=3).fit(rows.toarray(), y)
    clf = FHEClassifier.from_fitted(model, rows, backend="clear").compile()
    np.testing.assert_allclose(clf.predict_proba(rows, fhe="execute"), model.predict_proba(rows.toarray()), atol=1e-5)
    assert compare_with_cleartext(clf, rows, y, n_bootstrap=5).exact_rows == 200


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "tree"])
def test_clients_and_comparisons(name, rows, target, tmp_path):
    y = (target > 1).astype(int)
    clf = FHEClassifier(CLASSIFIERS[name], backend="clear").fit(rows, y).compile()
    clf.save_server(tmp_path / "server.fhe")
    clf.save_client(tmp_path / "client.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    keys = client.generate_keys()
    for container in FORMATS:
        response = server.run(client.encrypt(container(rows)), keys)
        np.testing.assert_array_equal(client.decrypt_predict(response), clf.estimator_.predict(rows))
        report = compare_with_cleartext(clf, container(rows), y, n_rows=50, n_bootstrap=5)
        assert report.equal_labels == report.exact_rows == 50
    with pytest.raises(ValueError, match="expecting 6 features"):
        client.encrypt(rows[:, :5])


def test_a_pipeline_with_a_default_one_hot_encoder():
    frame = pd.DataFrame({"city": list("abcd") * 40, "age": np.arange(160) % 37})
    y = ((frame.city == "b") | (frame.age > 20)).astype(int)
    for library in ("xgboost", "lightgbm", "sklearn"):
        encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough", sparse_threshold=1.0)
        pipe = make_pipeline(encoder, FHEGradientBoosting(5, library=library)).fit(frame, y)
        assert sparse.issparse(pipe[:-1].transform(frame))
        pipe[-1].compile()
        np.testing.assert_array_equal(pipe.predict(frame, fhe="execute"), pipe.predict(frame))
        assert pipe.score(frame, y) > 0.95


def test_sparse_frames_are_what_they_show(rows, target):
    """A frame of sparse columns is what it shows, as XGBoost reads it, unlike a sparse matrix."""
    y, names = (target > 1).astype(int), list("abcdef")
    frame = pd.DataFrame.sparse.from_spmatrix(rows, columns=names)
    dense = frame.sparse.to_dense()
    clf = FHEClassifier(CLASSIFIERS["xgboost"], backend="clear").fit(frame, y)
    model = XGBClassifier(n_estimators=4, max_depth=3).fit(frame, y)
    np.testing.assert_allclose(clf.predict_proba(frame), model.predict_proba(frame), atol=1e-4)
    np.testing.assert_array_equal(clf.predict_proba(frame), clf.predict_proba(dense))


@pytest.mark.parametrize("name", ["tree", "extra trees"])
def test_missing_values_in_sparse_rows_are_refused_where_scikit_learn_refuses_them(name, rows, target, tmp_path):
    bad = rows.copy()
    bad.data[3] = np.nan
    clf = FHEClassifier(CLASSIFIERS[name], backend="clear").fit(rows, target > 1).compile()
    clf.save_client(tmp_path / "client.fhe")
    client = FHEClient.load(tmp_path / "client.fhe")
    client.generate_keys()
    for call in (clf.estimator_.predict, clf.predict, client.encrypt):
        with pytest.raises(ValueError, match="NaN"):
            call(bad)


def test_stored_missing_values_of_boosted_trees(rows, target):
    bad = rows.copy()
    bad.data[::7] = np.nan
    for name in ("xgboost", "lightgbm"):
        clf = FHEClassifier(CLASSIFIERS[name], backend="clear").fit(bad, target > 1)
        np.testing.assert_allclose(clf.predict_proba(bad), clf.estimator_.predict_proba(bad), atol=1e-4)


def test_never_dense_at_once(rows, target, monkeypatch):
    """Blocks are small, and codes are the same for any size of them."""
    clf = FHEClassifier(CLASSIFIERS["xgboost"], backend="clear").fit(rows, target > 1)
    expected, shapes, dense = clf.quantize(rows), [], _sparse._dense

    def recorded(X, absent):
        shapes.append(X.shape)
        return dense(X, absent)

    monkeypatch.setattr(_blocks, "BLOCK_ENTRIES", 42)
    monkeypatch.setattr(_sparse, "_dense", recorded)
    np.testing.assert_array_equal(clf.quantize(rows), expected)
    assert len(shapes) == 29 and max(shapes) == (7, 6)


def test_duplicates_are_summed(rows, target):
    clf = FHEClassifier(CLASSIFIERS["xgboost"], backend="clear").fit(rows, target > 1)
    twice = sparse.coo_matrix(([1.0, 2.0, 3.0], ([0, 0, 1], [1, 1, 2])), shape=(2, 6))
    np.testing.assert_array_equal(clf.quantize(twice), clf.quantize(twice.tocsr()))
    alone = sparse.coo_matrix(([3.0, 3.0], ([0, 1], [1, 2])), shape=(2, 6))
    np.testing.assert_array_equal(clf.quantize(twice), clf.quantize(alone))
