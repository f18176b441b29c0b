"""`RemoteModel`: an estimator whose model is elsewhere."""

import asyncio
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators import FHERandomForestRegressor
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import DecryptionError, KeyMismatchError, ProtocolError, ServiceError
from fhe_estimators.serving import AsyncRemoteModel, FHEClient, FHEServer, RemoteModel
from fhe_estimators.serving.client import session as session_module
from fhe_estimators.serving.client.connection import ServiceConnection
from tests.lora.served import RawServer, free_port, http
from tests.serving.served import iris_model, metric, served

TOKEN = "token-of-alice"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    return iris_model(folder, backend="ckks")


@pytest.fixture(scope="module")
def regressor(folder):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 2))
    reg = FHERandomForestRegressor(3, max_depth=2, random_state=0, backend="clear").fit(X, y).compile()
    reg.save_server(folder / "regressor.server.fhe")
    reg.save_client(folder / "regressor.client.fhe")
    return reg, X


@pytest.fixture(scope="module")
def service(folder, model, regressor):
    with served([folder / "model.server.fhe", folder / "regressor.server.fhe"], n_processes=2) as found:
        yield found


@pytest.fixture
def remote(service):
    return RemoteModel(service[1], model="model", token=TOKEN)


def uploads(service):
    text = service[2].get("/metrics").text
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith('fhe_http_requests_total{route="/v1/models/{name}/keys",status="201"}')
    )


class TestEstimator:
    def test_all_methods_are_exact(self, remote, model):
        clf, X = model
        np.testing.assert_array_equal(remote.predict(X), clf.predict(X))
        np.testing.assert_array_equal(remote.predict_proba(X), clf.predict_proba(X))
        np.testing.assert_array_equal(remote.classes_, clf.classes_)
        assert list(remote.feature_names_in_) == list(X.columns) and remote.n_features_in_ == 4

    def test_rows_in_many_requests_come_back_in_order(self, service, remote, model):
        clf, X = model
        rows = X.iloc[np.random.default_rng(0).integers(len(X), size=101)]
        before = metric(service[2], "fhe_evaluation_seconds_count")
        remote.set_params(rows_per_request=10, n_concurrent=3)
        np.testing.assert_array_equal(remote.predict(rows), clf.predict(rows))
        assert metric(service[2], "fhe_evaluation_seconds_count") >= before + 11

    def test_multi_output_regressors(self, service, regressor):
        reg, X = regressor
        remote = RemoteModel(service[1], model="regressor", token=TOKEN, rows_per_request=7)
        np.testing.assert_array_equal(remote.predict(X), reg.predict(X))
        assert not is_classifier(remote) and not hasattr(remote, "predict_proba") and not hasattr(remote, "classes_")
        assert not hasattr(remote, "decision_function")

    def test_pipelines_cross_validation_and_clones_share_keys(self, service, remote, model):
        clf, X = model
        y = clf.predict(X)
        remote.predict(X[:1])
        before = uploads(service)
        pipeline = make_pipeline(FunctionTransformer(), remote)
        np.testing.assert_array_equal(pipeline.fit(X, y).predict(X), y)
        assert is_classifier(pipeline) and pipeline.score(X, y) == 1.0
        np.testing.assert_array_equal(cross_val_score(remote, X, y, cv=3), np.ones(3))
        np.testing.assert_array_equal(cross_val_score(pipeline, X, y, cv=2, scoring="roc_auc_ovr"), np.ones(2))
        assert clone(remote)._session() is remote._session()
        assert uploads(service) == before
        assert clone(remote).set_params(timeout_seconds=9)._session() is not remote._session()

    def test_threads_share_it(self, service, remote, model):
        clf, X = model
        before = uploads(service)
        with ThreadPoolExecutor(6) as threads:
            parts = [X[start : start + 10] for start in range(0, 60, 10)]
            for part, found in zip(parts, threads.map(remote.predict, parts), strict=True):
                np.testing.assert_array_equal(found, clf.predict(part))
        assert uploads(service) == before + 1

    def test_asyncio(self, service, model):
        clf, X = model

        async def ask():
            remote = AsyncRemoteModel(service[1], model="model", token=TOKEN)
            found = await asyncio.gather(remote.predict(X[:30]), remote.predict_proba(X[:30]))
            return [*found, await remote.classes(), await remote.describe(5)]

        labels, probabilities, classes, facts = asyncio.run(ask())
        np.testing.assert_array_equal(labels, clf.predict(X[:30]))
        np.testing.assert_array_equal(probabilities, clf.predict_proba(X[:30]))
        np.testing.assert_array_equal(classes, clf.classes_)
        assert facts["forecast"]["rows"] == 5

    def test_rows_are_checked_before_any_is_sent(self, service, remote, model):
        _, X = model
        before = metric(service[2], "fhe_evaluation_seconds_count")
        with pytest.raises(ValueError, match="feature names"):
            remote.predict(X.rename(columns={X.columns[0]: "other"}))
        with pytest.raises(ValueError, match="now missing"):
            remote.fit(X.iloc[:, :2])
        bad = X.copy()
        bad.iloc[-1, 0] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            remote.set_params(rows_per_request=10).predict(bad)
        assert metric(service[2], "fhe_evaluation_seconds_count") == before

    def test_costs_are_told_before_anything_is_sent(self, service, remote, model):
        clf, X = model
        before = uploads(service)
        facts = remote.describe(300)
        own = clf.program_.describe()
        assert set(facts["predicted_seconds"]) == set(facts["predicted_first_seconds"]) == {1, 1000}
        assert facts["security_bits"] == 128
        forecast = facts["forecast"]
        assert (forecast["rows"], forecast["requests"]) == (300, 1) and forecast["seconds"] > 0
        assert forecast["key_bytes"] == own["evaluation_key_bytes"] and uploads(service) == before
        request = FHEClientOf(remote).request(X.iloc[np.zeros(300, int)])
        assert forecast["upload_bytes"] == pytest.approx(len(request), rel=0.2)
        remote.predict(X[:1])
        assert remote.describe(300)["forecast"]["key_bytes"] == 0

    def test_secrets_are_shown_by_nothing(self, service, tmp_path):
        remote = RemoteModel(service[1], model="model", token=TOKEN, keys_file=tmp_path / "keys", password="s3cret")
        remote.set_params(token=TOKEN, password="s3cret")
        for shown in (repr(remote), str(remote), remote._repr_html_(), repr(remote.get_params()), repr(vars(remote))):
            assert TOKEN not in shown and "s3cret" not in shown
        assert TOKEN.encode() not in pickle.dumps(remote) and b"s3cret" not in pickle.dumps(remote)
        unpickled = pickle.loads(pickle.dumps(remote))
        assert unpickled.token is None or unpickled.token.reveal() is None


class FHEClientOf:
    """The client of a remote model, to look at its requests."""

    def __init__(self, remote):
        self.client = FHEClient(remote._session().model)
        self.client.generate_keys()

    def request(self, rows):
        return self.client.encrypt(rows)


class TestKeys:
    def test_a_file_keeps_them_between_processes(self, service, model, tmp_path):
        clf, X = model
        options = {"model": "model", "token": TOKEN, "keys_file": tmp_path / "keys", "password": "long enough"}
        before = uploads(service)
        for _ in range(2):
            np.testing.assert_array_equal(RemoteModel(service[1], **options).predict(X[:5]), clf.predict(X[:5]))
        assert uploads(service) == before + 1
        with pytest.raises(ProtocolError, match="password is wrong"):
            RemoteModel(service[1], **{**options, "password": "other"}).predict(X[:5])
        with pytest.raises(ValueError, match="needs a password"):
            RemoteModel(service[1], model="model", token=TOKEN, keys_file=tmp_path / "keys").predict(X[:5])

    def test_forgotten_ones_are_sent_again(self, service, remote, model):
        clf, X = model
        remote.predict(X[:1])
        keys_id = remote._session()._generation.keys_id
        response = service[2].delete(f"/v1/models/model/keys/{keys_id}", headers={"Authorization": f"Bearer {TOKEN}"})
        assert response.status_code == 204
        np.testing.assert_array_equal(remote.predict(X[:5]), clf.predict(X[:5]))
        assert remote._session()._generation.keys_id == keys_id

    def test_after_a_refused_decryption_they_are_fresh(self, remote, model, forged, monkeypatch, tmp_path):
        clf, X = model
        remote.set_params(keys_file=tmp_path / "keys", password="long enough")
        used = []
        honest = ServiceConnection.score

        def score(self, request, keys_id):
            response = honest(self, request, keys_id)
            used.append((keys_id, unpack_message("request", request)[0]["key_id"]))
            return forged(response) if len(used) == 1 else response

        monkeypatch.setattr(ServiceConnection, "score", score)
        np.testing.assert_array_equal(remote.predict(X[:5]), clf.predict(X[:5]))
        assert len(used) == 2 and used[0][0] != used[1][0] and used[0][1] != used[1][1]
        # the file holds the fresh ones
        again = RemoteModel(**{**remote.get_params(), "token": TOKEN, "password": "long enough"})
        again.predict(X[:1])
        assert used[-1] == used[1]

    def test_a_server_that_is_always_wrong_is_given_up(self, remote, model, forged, monkeypatch):
        honest = ServiceConnection.score
        used = []

        def score(self, request, keys_id):
            used.append(keys_id)
            return forged(honest(self, request, keys_id))

        monkeypatch.setattr(ServiceConnection, "score", score)
        with pytest.raises(DecryptionError):
            remote.predict(model[1][:5])
        assert len(used) == len(set(used)) == 3  # never twice under the same keys

    def test_damaged_responses_are_fetched_again_under_the_same_keys(self, remote, model, monkeypatch):
        clf, X = model
        honest, used = ServiceConnection.score, []

        def score(self, request, keys_id):
            used.append((keys_id, request))
            return honest(self, request, keys_id)[: -1 if len(used) == 1 else None]

        monkeypatch.setattr(ServiceConnection, "score", score)
        np.testing.assert_array_equal(remote.predict(X[:5]), clf.predict(X[:5]))
        assert len(used) == 2 and used[0] == used[1]


@pytest.fixture(scope="module")
def forged(folder, model):
    """Makes of a response one under the same names, whose ciphertexts belong to another secret key."""
    other = FHEClient.load(folder / "model.client.fhe")
    keys = other.generate_keys()
    foreign = FHEServer.load(folder / "model.server.fhe").run(other.encrypt(model[1][:5]), keys)
    _, blobs = unpack_message("response", foreign)
    return lambda response: pack_message("response", unpack_message("response", response)[0], blobs)


class TestFaults:
    def test_each_has_a_sentence(self, service, model, monkeypatch):
        monkeypatch.setattr(session_module, "_CONNECT_SECONDS", 0.3)
        monkeypatch.delenv("FHE_ESTIMATORS_TOKEN", raising=False)
        rows = model[1][:1]
        for remote, sentence in (
            (RemoteModel(service[1], token="wrong"), "refuses the token .* RemoteModel"),
            (RemoteModel(service[1]), "wants a token, and none was sent"),
            (RemoteModel(service[1], token=TOKEN), "several models: choose one of"),
            (RemoteModel(service[1], token=TOKEN, model="other"), "No such model: there are model, regressor"),
            (RemoteModel(f"http://127.0.0.1:{free_port()}"), "nothing listens at that port"),
            (RemoteModel("scores.example"), "URL looks like https://scores.example"),
        ):
            with pytest.raises(ServiceError, match=sentence):
                remote.predict(rows)
        with pytest.raises(ValueError, match="plain HTTP"):
            RemoteModel("http://scores.example", token=TOKEN).predict(rows)
        with RawServer(lambda _: http(b"<html>hello")) as page, pytest.raises(ProtocolError, match="web page"):
            RemoteModel(page.url).predict(rows)

    def test_archives_of_another_model(self, service, folder):
        with pytest.raises(KeyMismatchError, match="another model"):
            RemoteModel(
                service[1], token=TOKEN, model="model", client_archive=folder / "regressor.client.fhe"
            ).describe()

    def test_busy_servers_are_asked_again_when_they_say(self, service, remote, model):
        clf, X = model
        remote.predict(X[:1])
        pool = service[0].pool
        idle, pool._idle, most, pool.max_waiting = pool._idle, [], pool.max_waiting, 0

        def free():
            pool.max_waiting = most
            pool._idle.extend(idle)

        start = time.monotonic()
        threading.Timer(0.3, free).start()
        np.testing.assert_array_equal(remote.predict(X[:5]), clf.predict(X[:5]))
        assert time.monotonic() - start >= 1.0  # of Retry-After
        pool.max_waiting, pool._idle = 0, []
        remote._session()._retry_seconds = 0.1
        with pytest.raises(ServiceError, match="wait already") as found:
            remote.predict(X[:5])
        free()
        assert (found.value.status, found.value.code) == (429, "busy")

    def test_what_a_gateway_answered_is_asked_again(self, remote, model, monkeypatch):
        """Ray's proxy answers 500 when a replica dies; a service's own failure has a code, and would fail again."""
        clf, X = model
        remote.predict(X[:1])
        score, failures = ServiceConnection.score, []

        def failing(self, *arguments):
            if not failures:
                return score(self, *arguments)
            error = ServiceError("failed (HTTP 500)")
            error.status, error.code = 500, failures.pop()
            raise error

        monkeypatch.setattr(ServiceConnection, "score", failing)
        failures[:] = [""]
        np.testing.assert_array_equal(remote.predict(X[:5]), clf.predict(X[:5]))
        for codes, left in (["internal"] * 9, 8), ([""] * 9, 6):
            failures[:] = codes
            with pytest.raises(ServiceError, match="HTTP 500"):
                remote.predict(X[:5])
            assert len(failures) == left
