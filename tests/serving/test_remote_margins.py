"""Margins of rows with a model at a URL: they stay with the client, whatever request a row goes with."""

import asyncio

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.serving import AsyncRemoteModel, RemoteModel
from fhe_estimators.serving.client.session import Session
from tests.serving.served import served

X, Y = load_diabetes(return_X_y=True)
MARGIN = np.random.default_rng(0).normal(size=len(X))


@pytest.fixture(scope="module")
def clf(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    clf = FHEGradientBoostingClassifier(n_estimators=4, backend="clear").fit(X, Y > 150).compile()
    clf.save_server(folder / "model.server.fhe")
    clf.save_client(folder / "model.client.fhe")
    clf.folder = folder
    return clf


@pytest.fixture(scope="module")
def url(clf):
    with served([clf.folder / "model.server.fhe"]) as found:
        yield found[1]


def test_each_row_has_its_own(url, clf):
    settings = {"model": "model", "token": "token-of-alice", "rows_per_request": 100}
    remote, waiting = RemoteModel(url, **settings), AsyncRemoteModel(url, **settings)
    for name in ("predict", "predict_proba", "decision_function"):
        expected = getattr(clf, name)(X, base_margin=MARGIN)
        assert not np.array_equal(expected, getattr(clf, name)(X))
        np.testing.assert_array_equal(getattr(remote, name)(X, base_margin=MARGIN), expected)
        np.testing.assert_array_equal(asyncio.run(getattr(waiting, name)(X, base_margin=MARGIN)), expected)


def test_margins_that_do_not_fit_are_refused_before_rows_are_sent(url, monkeypatch):
    remote = RemoteModel(url, model="model", token="token-of-alice").fit(X)
    monkeypatch.setattr(Session, "ask", None)
    with pytest.raises(ValueError, match=r"base_margin has shape \(441,\)"):
        remote.predict(X, base_margin=MARGIN[:-1])
