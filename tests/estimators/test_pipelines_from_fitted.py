"""Fitted pipelines and searches are taken over with their preprocessing; what is no sum over trees is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators.estimators import FHEClassifier, FHEIsolationForest, FHERegressor
from fhe_estimators.exceptions import UnsupportedModelError
from fhe_estimators.inspection import compare_with_cleartext
from fhe_estimators.serving import FHEClient, FHEServer


def forest():
    return RandomForestClassifier(4, max_depth=3, random_state=0)


@pytest.mark.parametrize("wrap", ["pipeline", "grid of pipeline", "pipeline of grid", "random search", "nested"])
def test_pipelines_and_searches(wrap, classification):
    X, y = classification
    grid = {"max_depth": [2, 3]}
    model = {
        "pipeline": make_pipeline(StandardScaler(), PCA(3), forest()),
        "grid of pipeline": GridSearchCV(
            make_pipeline(StandardScaler(), forest()), {"randomforestclassifier__max_depth": [2, 3]}, cv=2
        ),
        "pipeline of grid": make_pipeline(StandardScaler(), GridSearchCV(forest(), grid, cv=2)),
        "random search": RandomizedSearchCV(forest(), grid, n_iter=2, cv=2),
        "nested": make_pipeline(StandardScaler(), make_pipeline(PCA(3), forest())),
    }[wrap].fit(X, y)
    clf = FHEClassifier.from_fitted(model, X, backend="clear").compile(X)
    np.testing.assert_allclose(clf.predict_proba(X, fhe="execute"), model.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), model.predict(X))
    assert clf.n_features_in_ == 6 and compare_with_cleartext(clf, X, y, n_bootstrap=5).equal_labels == len(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clf)).predict(X), model.predict(X))
    with pytest.raises(ValueError, match="expecting 6 features"):
        clf.predict(X[:, :5])


def test_columns_that_are_no_numbers(tmp_path):
    frame = pd.DataFrame({"city": list("abcd") * 30, "age": np.arange(120) % 37})
    y = (frame.city == "b").astype(int) * 10 + frame.age
    encoder = make_column_transformer((OneHotEncoder(), ["city"]), remainder="passthrough", sparse_threshold=1.0)
    model = make_pipeline(encoder, XGBRegressor(n_estimators=20, max_depth=3)).fit(frame, y)
    reg = FHERegressor.from_fitted(model, frame, backend="clear").compile(frame)
    np.testing.assert_allclose(reg.predict(frame, fhe="execute"), model.predict(frame), atol=1e-2)
    assert reg.feature_names_in_.tolist() == ["city", "age"]
    reg.save_server(tmp_path / "server.fhe")
    with pytest.warns(UserWarning, match=r"encrypt FHEClient.encrypt\(preprocessing_.transform\(X\)\)"):
        reg.save_client(tmp_path / "client.fhe")
    client, server = FHEClient.load(tmp_path / "client.fhe"), FHEServer.load(tmp_path / "server.fhe")
    keys = client.generate_keys()
    response = server.run(client.encrypt(reg.preprocessing_.transform(frame)), keys)
    np.testing.assert_array_equal(client.decrypt_predict(response), reg.predict(frame))
    with pytest.raises(ValueError, match="could not convert string to float"):
        client.encrypt(frame)


def test_a_refit_forgets_preprocessing(classification):
    X, y = classification
    clf = FHEClassifier.from_fitted(make_pipeline(StandardScaler(), forest()).fit(X, y), backend="clear").fit(X, y)
    assert not hasattr(clf, "preprocessing_")
    np.testing.assert_array_equal(clf.predict(X), forest().fit(X, y).predict(X))


def test_isolation_forests(classification):
    X = classification[0]
    for model in (
        IsolationForest(n_estimators=7, max_features=0.5, contamination=0.1, random_state=0),
        make_pipeline(StandardScaler(), IsolationForest(n_estimators=7, random_state=0)),
    ):
        model.fit(X)
        ours = FHEIsolationForest.from_fitted(model, X, backend="clear").compile()
        np.testing.assert_allclose(ours.decision_function(X, fhe="execute"), model.decision_function(X), atol=1e-4)
        np.testing.assert_allclose(ours.score_samples(X), model.score_samples(X), atol=1e-4)
        near = np.abs(model.decision_function(X)) < 1e-4
        np.testing.assert_array_equal(ours.predict(X)[~near], model.predict(X)[~near])
        assert ours.n_estimators == 7 and len(ours.estimators_) == 7
    with pytest.raises(ValueError, match=r"\['n_estimators'\] cannot be set here"):
        FHEIsolationForest.from_fitted(model, n_estimators=3)


REFUSED = {
    "calibrated": (lambda: CalibratedClassifierCV(forest(), cv=2), "maps scores through calibrators"),
    "voting": (lambda: VotingClassifier([("a", forest()), ("b", forest())]), "mixes predictions of models"),
    "stacking": (lambda: StackingClassifier([("a", forest()), ("b", forest())], cv=2), "to another model"),
    "boosted medians": (lambda: AdaBoostRegressor(n_estimators=2), "weighted median"),
    "passthrough": (lambda: make_pipeline(StandardScaler(), "passthrough"), "last step of the pipeline"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_a_reason(name, classification):
    make, message = REFUSED[name]
    with pytest.raises(UnsupportedModelError, match=message):
        FHEClassifier.from_fitted(make().fit(*classification))


def test_messages_that_help(classification, regression):
    X, y = classification
    with pytest.raises(ValueError, match=r"needs a classifier, got IsolationForest: use FHEIsolationForest"):
        FHEClassifier.from_fitted(IsolationForest(n_estimators=2).fit(X))
    with pytest.raises(ValueError, match="needs an isolation forest, got RandomForestRegressor: use FHERegressor"):
        FHEIsolationForest.from_fitted(RandomForestRegressor(2).fit(*regression))
    with pytest.raises(ValueError, match="got XGBClassifier with objective='multi:softprob', which makes it a class"):
        FHERegressor.from_fitted(XGBClassifier(n_estimators=2).fit(X, y))
    with pytest.raises(ValueError, match="got a Booster of XGBoost with objective='multi:softprob'"):
        FHERegressor.from_fitted(XGBClassifier(n_estimators=2).fit(X, y).get_booster())
    with pytest.raises(UnsupportedModelError, match="n_estimators of at least 1"):
        FHERegressor(XGBRegressor(n_estimators=0)).fit(*regression)
    with pytest.raises(ValueError, match="into the pipeline as its last step"):
        FHEClassifier(make_pipeline(StandardScaler(), forest())).fit(X, y)
    search = GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1]}, refit=False, cv=2).fit(X, y)
    with pytest.raises(ValueError, match="refit=True"):
        FHEClassifier.from_fitted(search)
