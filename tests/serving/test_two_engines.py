"""One pair of archives for two engines: few rows and many, keys of one or both, over HTTP too."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.backends.messages import unpack_message
from fhe_estimators.exceptions import KeyMismatchError, KeysMissingError
from fhe_estimators.serving import FHEClient, FHEServer
from tests.serving.deployments import deploy


@pytest.fixture(scope="module")
def model():
    X, y = load_breast_cancer(return_X_y=True)
    return FHEGradientBoostingClassifier(10, max_depth=3, random_state=0).fit(X, y).compile(), X


@pytest.fixture
def parties(model, tmp_path):
    return deploy(model[0], tmp_path)


def engine_of(server, request):
    return server.program.engine_of_program[unpack_message("request", request)[0]["program_id"]]


def test_each_request_takes_the_faster_engine(model, parties):
    (clf, X), (client, server) = model, parties
    keys, crossing = client.generate_keys(), server.describe()["crossing_rows"]
    for n_rows, engine in ((1, "bfv"), (crossing - 1, "bfv"), (crossing, "ckks"), (len(X), "ckks")):
        request = client.encrypt(X[:n_rows])
        assert engine_of(server, request) == engine
        scores = client.decrypt_scores(server.run(request, keys))
        np.testing.assert_array_equal(scores, clf.decision_function(X[:n_rows]))


def test_an_engine_can_be_pinned(model, parties):
    (clf, X), (client, server) = model, parties
    both = client.generate_keys()
    for engine in ("bfv", "ckks"):
        request = client.encrypt(X[:3], backend=engine)
        assert engine_of(server, request) == engine
        np.testing.assert_array_equal(client.decrypt_predict(server.run(request, both)), clf.predict(X[:3]))
    one = client.generate_keys(backend="bfv")
    assert len(one) < 0.8 * len(both)
    many = client.encrypt(X[:100])
    assert engine_of(server, many) == "bfv"
    np.testing.assert_array_equal(client.decrypt_predict(server.run(many, one)), clf.predict(X[:100]))
    with pytest.raises(KeysMissingError, match=r"generate_keys\(backend='ckks'\)"):
        client.encrypt(X[:1], backend="ckks")
    for call in (client.generate_keys, lambda backend: client.encrypt(X[:1], backend=backend)):
        with pytest.raises(ValueError, match="'tfhe' is no engine of this model: it was compiled for 'bfv' and"):
            call(backend="tfhe")


def test_keys_are_made_when_they_are_needed(model, parties):
    (clf, X), (client, server) = model, parties
    client.start_session()
    few = client.encrypt(X[:1])
    keys_of_few = client.evaluation_keys
    many = client.encrypt(X)
    assert len(client.evaluation_keys) > 1.5 * len(keys_of_few)
    with pytest.raises(KeyMismatchError, match="as they are now"):
        server.run(many, keys_of_few)
    for request, rows in ((few, X[:1]), (many, X)):
        response = server.run(request, client.evaluation_keys)
        np.testing.assert_array_equal(client.decrypt_predict(response, request), clf.predict(rows))


def test_saved_keys_serve_both_engines(model, parties, tmp_path):
    (clf, X), (client, server) = model, parties
    keys = client.generate_keys()
    client.save_keys(tmp_path / "keys", "password")
    later = FHEClient.load(tmp_path / "client.fhe")
    later.load_keys(tmp_path / "keys", "password")
    for rows in (X[:1], X):
        request = client.encrypt(rows)
        np.testing.assert_array_equal(later.decrypt_predict(server.run(request, keys), request), clf.predict(rows))


def test_models_of_one_engine_take_its_name_only(tmp_path):
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEGradientBoostingClassifier(3, max_depth=2, backend="ckks").fit(X, y).compile()
    client, server = deploy(clf, tmp_path)
    keys = client.generate_keys(backend="ckks")
    response = server.run(client.encrypt(X[:2], backend="ckks"), keys)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X[:2]))
    with pytest.raises(ValueError, match="compiled for 'ckks'"):
        client.encrypt(X[:2], backend="bfv")


def test_servers_that_rerandomize_ask_for_ckks(model):
    with pytest.raises(ValueError, match="rerandomize=True is not supported by the 'auto' backend: use backend='ckks'"):
        FHEServer(model[0].program_, rerandomize=True)


def test_over_http(model, tmp_path):
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    from fhe_estimators.serving import RemoteModel
    from tests.serving.served import served

    clf, X = model
    clf.save_server(tmp_path / "model.server.fhe")
    clf.save_client(tmp_path / "model.client.fhe")
    with served([tmp_path / "model.server.fhe"]) as (_, url, _):
        remote = RemoteModel(url, model="model", token="token-of-alice")
        assert remote.describe()["crossing_rows"] == clf.program_.describe()["crossing_rows"]
        for rows in (X[:1], X):
            np.testing.assert_array_equal(remote.decision_function(rows), clf.decision_function(rows))
