"""What a process of a service does, called in this one."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import KeyMismatchError, ProtocolError
from fhe_estimators.serving import FHEClient
from fhe_estimators.serving.server import evaluation
from tests.serving.served import iris_model


@pytest.fixture
def models(tmp_path):
    """Archives and clients of five models, one more than a process keeps."""
    found = []
    for depth in range(1, 6):
        clf, X = iris_model(tmp_path, name=f"model{depth}", max_depth=depth)
        client = FHEClient.load(tmp_path / f"model{depth}.client.fhe")
        keys = tmp_path / f"keys{depth}"
        keys.write_bytes(client.generate_keys())
        found.append((str(tmp_path / f"model{depth}.server.fhe"), str(keys), client, clf, X))
    yield found
    evaluation._programs.clear()
    evaluation._evaluators.clear()
    evaluation._used.clear()


def test_programs_and_keys_are_kept_for_those_that_came_last(models):
    for server, keys, client, clf, X in [*models, *models]:
        response = evaluation.evaluate(server, keys, client.encrypt(X[:4]), None)
        np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X[:4]))
        assert len(evaluation._programs) <= evaluation.MAX_PROGRAMS
        assert {path for path, _ in evaluation._evaluators} <= set(evaluation._programs)
    assert len(evaluation._programs) == evaluation.MAX_PROGRAMS


def test_keys_are_kept_as_long_as_their_bytes_fit(models, monkeypatch):
    (server, keys, client, _, X), n_bytes = models[0], len(models[0][2].evaluation_keys)
    others = [Path(keys).with_name(f"other{i}") for i in range(12)]
    for n_kept in (12, 5, 0):
        monkeypatch.setitem(evaluation._options, "kept_key_bytes", n_kept * n_bytes)
        for other in others:
            other.write_bytes(client.evaluation_keys)
            evaluation.evaluate(server, str(other), client.encrypt(X[:1]), None)
        assert len(evaluation._evaluators) == max(1, n_kept)
    monkeypatch.setitem(evaluation._options, "kept_key_bytes", 12 * n_bytes)
    for other in others[:3]:
        evaluation.evaluate(server, str(other), client.encrypt(X[:1]), None)
    others[0].unlink()  # the service removed them
    evaluation._used[server, str(others[1])] -= 1e4  # and nobody used these for long
    evaluation.evaluate(server, keys, client.encrypt(X[:1]), None)
    assert [path for _, path in evaluation._evaluators] == [str(others[11]), str(others[2]), keys]


@pytest.fixture
def two_engines(tmp_path):
    """Archive, a file for keys, client, estimator and rows of a model of both engines."""
    clf, X = iris_model(tmp_path, name="both", backend="auto")
    yield str(tmp_path / "both.server.fhe"), tmp_path / "keys", FHEClient.load(tmp_path / "both.client.fhe"), clf, X
    evaluation._programs.clear()
    evaluation._evaluators.clear()
    evaluation._used.clear()


@pytest.mark.parametrize("engine", ["bfv", "ckks"])
def test_rows_are_bounded_for_either_engine_of_a_program(engine, two_engines):
    server, keys, client, clf, X = two_engines
    keys.write_bytes(client.generate_keys(backend=engine))
    request = client.encrypt(X[:4], backend=engine)
    with pytest.raises(evaluation.TooManyRowsError, match="holds 4 rows, more than the 3"):
        evaluation.evaluate(server, str(keys), request, 3)
    response = evaluation.evaluate(server, str(keys), request, 4)
    np.testing.assert_array_equal(client.decrypt_predict(response), clf.predict(X[:4]))
    header, blobs = unpack_message("request", request)
    for more in ({"n_rows": 1}, {"batches": [[1, 0]]}):  # numbers beside the one that the engine reads
        with pytest.raises(evaluation.TooManyRowsError, match="more than the 3"):
            evaluation.evaluate(server, str(keys), pack_message("request", {**more, **header}, blobs), 3)


def test_a_batch_has_no_more_room_than_its_rows_need(tmp_path):
    """Else a request for one row could hold thousands."""
    _, X = iris_model(tmp_path, backend=CKKSBackend(layout="compact"))
    client, keys = FHEClient.load(tmp_path / "model.client.fhe"), tmp_path / "keys"
    keys.write_bytes(client.generate_keys())
    header, blobs = unpack_message("request", client.encrypt(X.iloc[np.resize(np.arange(len(X)), 4000)]))
    assert header["batches"] == [[4000, 0]]
    request = pack_message("request", {**header, "batches": [[1, 0]]}, blobs)
    with pytest.raises(ProtocolError, match="less densely"):
        evaluation.evaluate(str(tmp_path / "model.server.fhe"), str(keys), request, 10)


def test_what_is_refused(models, tmp_path):
    server, keys, client, _, X = models[0]
    request = client.encrypt(X[:4])
    with pytest.raises(evaluation.TooManyRowsError, match="holds 4 rows, more than the 3"):
        evaluation.evaluate(server, keys, request, 3)
    with pytest.raises(evaluation.KeysGoneError, match="send them again"):
        evaluation.evaluate(server, str(tmp_path / "gone"), request, None)
    with pytest.raises(ProtocolError):
        evaluation.evaluate(server, keys, request[:-1], None)
    program_id = client._client.spec.program_id
    assert evaluation.check_keys(keys, program_id) is None
    with pytest.raises(KeyMismatchError, match="another model"):
        evaluation.check_keys(models[1][1], program_id)


def test_cards(models):
    server, other = models[0][0], models[1][0]
    card = evaluation.describe_model(server, server.replace("server", "client"))
    assert card["classes"] == [0, 1, 2] and card["task"] == "classification" and len(card["feature_names"]) == 4
    assert evaluation.describe_model(server, None)["client_archive"] is False
    with pytest.raises(KeyMismatchError, match="different models"):
        evaluation.describe_model(server, other.replace("server", "client"))
