"""What goes wrong around a service: disks, clocks, clients that are slow, leave, or share a token."""

import contextlib
import logging
import os
import resource
import socket
import threading
import time

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

import httpx

from fhe_estimators.serving import FHEClient, RemoteModel
from fhe_estimators.serving.server import key_store, models
from tests.lora.served import Served
from tests.serving.served import ALICE, KEYS, Command, code, iris_model, metric, predict, registered, served

TOKEN = "token-of-alice"


def eventually(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def answers(http, status):
    """Requests that were answered with a status."""
    lines = http.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("fhe_http_requests_total") and f'status="{status}"' in line]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def test_a_full_disk(folder, model, tmp_path):
    """Files of the service may not grow, as on a full disk: keys are refused, all else goes on, and so do clients."""
    clf, X = model
    first, second = (FHEClient.load(folder / "model.client.fhe") for _ in range(2))
    with (
        Command(folder / "model.server.fhe", "--processes", 1, "--keys-dir", tmp_path / "keys") as command,
        httpx.Client(base_url=command.url, timeout=60, trust_env=False) as http,
    ):
        first.generate_keys(), second.generate_keys()
        keys_id = registered(http, first, {})
        unlimited = resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        assert code(http.post(KEYS, content=second.evaluation_keys)) == (507, "storage_full")
        assert [name for _, _, names in os.walk(tmp_path / "keys") for name in names] == [keys_id]
        response = predict(http, keys_id, first.encrypt(X[:5]), {})
        np.testing.assert_array_equal(first.decrypt_predict(response.content), clf.predict(X[:5]))
        found = []
        remote = RemoteModel(command.url)
        asking = threading.Thread(target=lambda: found.append(remote.predict(X)))
        asking.start()
        eventually(lambda: answers(http, 507) >= 2)
        resource.prlimit(command.process.pid, resource.RLIMIT_FSIZE, unlimited)
        asking.join(timeout=120)
        np.testing.assert_array_equal(found[0], clf.predict(X))
        assert answers(http, 500) == 0


def test_a_model_that_found_no_room_is_read_later(tmp_path, monkeypatch):
    iris_model(tmp_path, max_depth=2)
    monkeypatch.setattr(models, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(models, "_LATER_SECONDS", 0.2)
    copied, full = models._copied, threading.Event()

    def copy(path, folder):
        if full.is_set():
            raise OSError(28, "No space left on device")
        return copied(path, folder)

    monkeypatch.setattr(models, "_copied", copy)
    with served([tmp_path / "model.server.fhe"]) as (_, _, http):

        def program():
            return http.get("/v1/models/model", headers=ALICE).json()["program_id"]

        before = program()
        full.set()
        iris_model(tmp_path, max_depth=3)
        eventually(lambda: program() and 'outcome="failed"' in http.get("/metrics").text)
        assert program() == before
        full.clear()
        eventually(lambda: program() != before)


@pytest.mark.parametrize("seconds", [400 * 86_400.0, -4000 * 86_400.0])
def test_clocks_that_jump(service, model, monkeypatch, seconds):
    """Keys may be forgotten, and clients send them again."""
    clf, X = model
    remote = RemoteModel(service[1], token=TOKEN, rows_per_request=50)
    remote.predict(X[:1])
    now = time.time
    with monkeypatch.context() as patched:
        patched.setattr(key_store.time, "time", lambda: now() + seconds)
        np.testing.assert_array_equal(remote.predict(X), clf.predict(X))
    np.testing.assert_array_equal(remote.predict(X), clf.predict(X))
    assert answers(service[2], 500) == 0


def test_clients_with_one_token_and_room_for_the_keys_of_one(folder, model, client):
    clf, X = model
    room = int(1.5 * len(client.evaluation_keys))
    with served([folder / "model.server.fhe"], client_keys_bytes=room, n_processes=2) as (_, url, http):
        found = {}

        def ask(number):
            remote = RemoteModel(url, token=TOKEN, rows_per_request=30, n_concurrent=2)
            found[number] = remote.predict(X)

        askers = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
        for thread in askers:
            thread.start()
        for thread in askers:
            thread.join(timeout=300)
        assert len(found) == 2
        for labels in found.values():
            np.testing.assert_array_equal(labels, clf.predict(X))
        assert answers(http, 500) == 0


def test_an_upload_goes_on_whatever_else_is_kept_or_starts(tmp_path):
    """Beside uploads of the same client, and other services (replicas) with the same folder."""
    from fhe_estimators.utils.http.server import Metrics

    def store():
        limits = {"largest_bytes": 100, "client_bytes": 150, "total_bytes": 1000, "seconds": 0.0}
        return key_store.KeyStore(tmp_path, **limits, metrics=Metrics())

    first = store()
    place = first._place("alice", "program")
    place.mkdir(parents=True)
    partials = [place / f"{key_store._PARTIAL}{i}" for i in range(3)]
    for i, partial in enumerate(partials):
        partial.write_bytes(bytes([i]) * 90)
    kept = first.keep(partials[0], "alice")
    store()
    assert partials[1].exists() and partials[2].exists()
    kept = first.keep(partials[1], "alice")  # makes room for itself
    os.utime(partials[2], (0, 0))
    assert {path.name for path in place.iterdir()} == {kept, partials[2].name}
    store()
    assert not partials[2].exists()  # nobody receives for a day


def test_clients_that_vanish(folder, model, service, request_of_one_row, client):
    """In the middle of a body, and before their answer: nothing of them is left."""
    scoring, url, http = service
    keys_id = registered(http, client)
    before = len(os.listdir(scoring._folder)), sum(1 for _ in scoring.keys._files(scoring.keys._folder))
    head = "Host: x\r\nAuthorization: Bearer token-of-alice\r\nContent-Length: {}\r\n\r\n"
    scores = f"POST /v1/models/model/predict?keys={keys_id} HTTP/1.1\r\n{head.format(len(request_of_one_row))}".encode()
    keys = f"POST {KEYS} HTTP/1.1\r\n{head.format(10_000_000)}".encode()
    for sent in [scores + request_of_one_row[:5000], keys + bytes(100_000), scores + request_of_one_row] * 8:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=30) as connection:
            connection.sendall(sent)
            if len(sent) % 2:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
    eventually(lambda: metric(http, "fhe_http_requests_under_way") == 1)  # this one
    assert scoring.bodies.held_bytes == 0 and not scoring.pool._waiting
    assert before == (len(os.listdir(scoring._folder)), sum(1 for _ in scoring.keys._files(scoring.keys._folder)))
    assert answers(http, 500) == 0
    assert predict(http, keys_id, request_of_one_row).status_code == 200


@pytest.mark.parametrize("n_bytes", [0, 1])
def test_clients_that_take_their_answer_slowly_are_left(n_bytes, caplog):
    """None of it, or a byte now and then: the connection is closed and what was to be sent is let go."""
    from fhe_estimators.utils.http.server import Metrics, TokenList, new_application
    from fhe_estimators.utils.http.server.running import impatient_protocol

    app = new_application("test", tokens=TokenList(), metrics=Metrics(), public_metrics=True)
    ended = threading.Event()

    async def large():
        from starlette.responses import StreamingResponse

        async def parts():
            try:
                for _ in range(1000):
                    yield bytes(1 << 18)
            finally:
                ended.set()

        return StreamingResponse(parts())

    app.get("/large")(large)
    caplog.set_level(logging.ERROR)
    with Served(app, http=impatient_protocol(send_seconds=0.5)) as server:
        address = "127.0.0.1", int(server.url.rpartition(":")[2])
        with socket.create_connection(address, timeout=60) as connection, contextlib.suppress(ConnectionError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            end = time.monotonic() + 30
            while not ended.wait(0.05) and time.monotonic() < end:
                connection.recv(n_bytes)
        assert ended.is_set()
        assert httpx.get(f"http://127.0.0.1:{address[1]}/health", trust_env=False).status_code == 200
    assert "Traceback" not in caplog.text
