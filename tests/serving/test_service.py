"""A scoring service over HTTP: what it answers, and what it refuses."""

import contextlib
import json
import os
import socket
import time

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.serving import FHEClient
from tests.serving.served import ALICE, BOB, KEYS, code, iris_model, metric, predict, registered, served


class TestAnswers:
    def test_scores_are_exact(self, service, client, model):
        _, _, http = service
        clf, X = model
        request = client.encrypt(X[:20])
        response = predict(http, registered(http, client), request)
        assert response.status_code == 200 and response.headers["content-type"] == "application/octet-stream"
        np.testing.assert_array_equal(client.decrypt_predict(response.content, request), clf.predict(X[:20]))

    def test_names_of_keys_are_their_content(self, service, client):
        _, _, http = service
        first = registered(http, client)
        assert first == registered(http, client)
        assert http.get(f"{KEYS}/{first}", headers=ALICE).status_code == 200
        assert http.delete(f"{KEYS}/{first}", headers=ALICE).status_code == 204
        assert code(http.get(f"{KEYS}/{first}", headers=ALICE)) == (404, "unknown_keys")

    def test_cards_and_archives(self, service, model, folder):
        _, _, http = service
        listed = http.get("/v1/models", headers=ALICE).json()["models"]
        card = http.get("/v1/models/model", headers=ALICE).json()
        assert [m["name"] for m in listed] == ["model"] and card["task"] == "classification"
        assert card["feature_names"] == list(model[1].columns) and card["classes"] == [0, 1, 2]
        assert card["describe"]["security_bits"] == 128
        archive = http.get("/v1/models/model/client", headers=ALICE).content
        assert archive == (folder / "model.client.fhe").read_bytes()

    def test_the_page_says_what_people_want_to_know(self, service, model):
        _, url, http = service
        page = http.get("/").text
        for text in ("0, 1, 2", "petal width (cm)", "128 bits", "ciphertexts, evaluation keys", url, "token=..."):
            assert text in page
        assert "<script" not in page

    def test_metrics_count_and_name_nobody(self, service, client, model):
        _, _, http = service
        before = metric(http, "fhe_evaluation_seconds_count")
        predict(http, registered(http, client), client.encrypt(model[1][:1]))
        assert metric(http, "fhe_evaluation_seconds_count") >= before + 1
        assert metric(http, "fhe_keys_bytes") >= len(client.evaluation_keys)
        end = time.monotonic() + 10  # requests are counted after their last byte
        while (wanted := 'route="/v1/models/{name}/predict",status="200"') not in (text := http.get("/metrics").text):
            assert time.monotonic() < end, f"{wanted} is not in {text}"
        assert "alice" not in text and "token-of" not in text

    def test_health(self, service):
        _, _, http = service
        assert http.get("/health").status_code == http.get("/ready").status_code == 200


class TestRefusals:
    def test_every_path_of_models_needs_a_token(self, service):
        _, _, http = service
        document = http.get("/openapi.json").json()
        paths = [(path, method) for path, methods in document["paths"].items() for method in methods]
        assert len(paths) >= 11
        for path, method in paths:
            url = path.replace("{name}", "model").replace("{keys_id}", "0" * 64)
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "token-of-alice"}):
                response = http.request(method, url, params={"keys": "0" * 64}, headers=headers)
                if path.startswith("/v1"):
                    assert code(response) == (401, "unauthorized"), path
                else:
                    assert response.status_code == 200, path

    def test_keys_of_another_client_are_not_found(self, service, client, model):
        _, _, http = service
        keys_id = registered(http, client, ALICE)
        request = client.encrypt(model[1][:1])
        assert code(predict(http, keys_id, request, BOB)) == (404, "unknown_keys")
        assert code(http.delete(f"{KEYS}/{keys_id}", headers=BOB)) == (404, "unknown_keys")
        assert predict(http, keys_id, request, ALICE).status_code == 200

    @pytest.mark.parametrize(
        "name", [".%2e", "%2e%2e", "..%2f..%2fetc%2fpasswd", "%00", "model%2f..", "/etc/passwd", "a" * 5000, "%ff", "♥"]
    )
    def test_no_string_of_a_client_is_a_path(self, service, client, name):
        _, _, http = service
        for url in (
            f"/v1/models/{name}",
            f"/v1/models/{name}/client",
            f"{KEYS}/{name}",
            f"/v1/models/model/predict?keys={name}",
        ):
            method = "POST" if "predict" in url else "GET"
            response = http.request(method, url, headers=ALICE, content=b"x" if method == "POST" else None)
            assert response.status_code in (404, 405, 422), url
        assert b"root:" not in response.content

    @pytest.mark.parametrize(
        "content", [b"", b"x", b"FHEM", b"FHEM\x02\x00\xff\xff\xff\xff", b"\x80\x04cos\nsystem\n", b"{" * 1000]
    )
    def test_garbage(self, service, client, content):
        _, _, http = service
        assert code(predict(http, registered(http, client), content)) == (400, "malformed")
        assert code(http.post(KEYS, content=content, headers=ALICE)) == (400, "malformed")

    def test_messages_of_another_kind_model_or_client(self, service, client, model, folder):
        _, _, http = service
        keys_id, request = registered(http, client), client.encrypt(model[1][:1])
        assert code(predict(http, keys_id, client.evaluation_keys[:1_000_000]))[0] == 400
        assert code(http.post(KEYS, content=request, headers=ALICE))[0] == 400
        other = FHEClient.load(folder / "model.client.fhe")
        other.generate_keys()
        assert code(predict(http, keys_id, other.encrypt(model[1][:1]))) == (400, "key_mismatch")
        header, blobs = unpack_message("evaluation_keys", client.evaluation_keys)
        foreign = pack_message("evaluation_keys", {**header, "program_id": "0" * 64}, blobs)
        assert code(http.post(KEYS, content=foreign, headers=ALICE)) == (400, "key_mismatch")

    def test_rows_and_bytes_are_bounded(self, service, client, model):
        _, _, http = service
        keys_id = registered(http, client)
        assert code(predict(http, keys_id, client.encrypt(model[1]))) == (413, "too_many_rows")
        assert code(predict(http, keys_id, bytes(2_000_001))) == (413, "too_large")
        assert code(predict(http, keys_id, iter([bytes(1_000_000)] * 3))) == (413, "too_large")
        assert code(http.post(KEYS, content=bytes(20_000_001), headers=ALICE)) == (413, "too_large")
        gzip = {**ALICE, "Content-Encoding": "gzip"}
        assert code(predict(http, keys_id, b"x", gzip)) == (415, "compressed")

    @pytest.mark.parametrize("length", ["99999999999999999999", "-1", "1e9", "0x10", "٣"])
    def test_lengths_that_are_none(self, service, length):
        answer = raw(service, f"POST {KEYS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-alice\r\n"
                     f"Content-Length: {length}\r\n\r\n")  # fmt: skip
        assert answer.split()[1] in (b"400", b"413")

    def test_slow_bodies(self, service):
        start = time.monotonic()
        answer = raw(service, f"POST {KEYS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer token-of-alice\r\n"
                     "Content-Length: 100\r\n\r\nabc")  # fmt: skip
        assert answer.split()[1] == b"408" and time.monotonic() - start < 30

    def test_a_full_queue(self, service, client, model):
        scoring, _, http = service
        keys_id, request = registered(http, client), client.encrypt(model[1][:1])
        process, scoring.pool.max_waiting = scoring.pool._idle.pop(), 0
        response = predict(http, keys_id, request)
        scoring.pool._idle.append(process)
        scoring.pool.max_waiting = 64
        assert code(response) == (429, "busy") and int(response.headers["Retry-After"]) >= 1
        assert predict(http, keys_id, request).status_code == 200

    def test_deadlines_of_clients(self, service, client, model):
        scoring, _, http = service
        keys_id, request = registered(http, client), client.encrypt(model[1][:1])
        process = scoring.pool._idle.pop()
        response = predict(http, keys_id, request, {**ALICE, "Request-Timeout": "0.2"})
        scoring.pool._idle.append(process)
        assert code(response) == (503, "too_long")
        for value in ("-1", "nan", "inf", "soon", "1e999"):
            assert code(predict(http, keys_id, request, {**ALICE, "Request-Timeout": value})) == (422, "invalid")

    def test_memory_for_bodies_is_bounded(self, service, client, model):
        scoring, _, http = service
        keys_id, request = registered(http, client), client.encrypt(model[1][:1])
        scoring.bodies._largest_held, before = 1000, scoring.bodies._largest_held
        assert code(predict(http, keys_id, request)) == (429, "busy")
        scoring.bodies._largest_held = before
        assert scoring.bodies.held_bytes == 0

    def test_what_is_refused_is_not_quoted(self, service):
        _, _, http = service
        for response in (
            http.get("/v1/models/s3cret-name", headers=ALICE),
            http.post("/v1/models/model/predict?keys=s3cret-keys", headers=ALICE),
            http.get("/v1/s3cret", headers=ALICE),
        ):
            assert response.status_code in (404, 422) and "s3cret" not in response.text


def raw(service, text):
    """What comes back for bytes that no library would send."""
    port = int(service[1].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(text.encode())
        return connection.recv(10_000)


def test_private_services_show_nothing_without_a_token(folder, model):
    with served([folder / "model.server.fhe"], private=True) as (_, _, http):
        for path in ("/", "/metrics"):
            assert code(http.get(path)) == (401, "unauthorized")
            assert http.get(path, headers=ALICE).status_code == 200
        assert http.get("/openapi.json", headers=ALICE).status_code == 404


class TestKeysOnDisk:
    def test_they_expire_are_bounded_and_survive_a_restart(self, folder, model, client, tmp_path):
        size = len(client.evaluation_keys)
        limits = {"client_keys_bytes": int(2.5 * size), "total_keys_bytes": int(4.5 * size)}
        others = [FHEClient.load(folder / "model.client.fhe") for _ in range(4)]
        for other in others:
            other.generate_keys()
        with served([folder / "model.server.fhe"], keys_folder=tmp_path / "keys", **limits) as (_, _, http):
            ids = [registered(http, other) for other in others[:3]]
            known = [http.get(f"{KEYS}/{keys_id}", headers=ALICE).status_code for keys_id in ids]
            assert known == [404, 200, 200]  # a client's oldest make room for its newest
            assert [registered(http, other, BOB) for other in others[:2]]
            response = http.post(KEYS, content=others[3].evaluation_keys, headers=BOB)
            assert code(response) == (507, "storage_full")
            names = [name for _, _, files in os.walk(tmp_path / "keys") for name in files]
            assert sorted(names) == sorted([*ids[1:], *ids[:2]])  # nothing half-written
        with served([folder / "model.server.fhe"], keys_folder=tmp_path / "keys", keys_seconds=60.0) as (_, _, http):
            request = others[2].encrypt(model[1][:1])
            assert predict(http, ids[2], request).status_code == 200
            for place, _, files in os.walk(tmp_path / "keys"):
                for name in files:
                    os.utime(os.path.join(place, name), (0, time.time() - 61))
            assert code(predict(http, ids[2], request)) == (404, "unknown_keys")


class TestReload:
    def test_a_changed_model_is_read_and_a_broken_one_is_not(self, tmp_path):
        first, _ = iris_model(tmp_path, max_depth=2)
        with served([tmp_path / "model.server.fhe"]) as (_, _, http):

            def program_id(wanted):
                for _ in range(300):
                    card = http.get("/v1/models/model", headers=ALICE).json()
                    if card["program_id"] == wanted:
                        break
                    time.sleep(0.1)
                return card["program_id"]

            (tmp_path / "model.server.fhe").write_bytes(b"half an archive")
            for _ in range(300):
                http.get("/v1/models/model", headers=ALICE)
                if metric(http, "fhe_model_reloads_total"):
                    break
                time.sleep(0.1)
            assert 'outcome="failed"' in http.get("/metrics").text
            assert program_id(first.program_.client_spec.program_id) == first.program_.client_spec.program_id
            second, _ = iris_model(tmp_path, max_depth=3)
            assert program_id(second.program_.client_spec.program_id) == second.program_.client_spec.program_id


class TestTokens:
    def test_files_of_tokens(self, tmp_path):
        from fhe_estimators.utils.http.server import Refusal, TokenList

        file = tmp_path / "tokens"
        file.write_text("# of people\nalice one\n\ntwo\nalice three\n")
        tokens = TokenList(path=file)
        assert tokens.client("Bearer one") == tokens.client("bearer three") == "alice" != tokens.client("Bearer two")
        for header in (None, "", "one", "Bearer", "Bearer ", "Basic one", "Bearer One", "Bearer one two", "Bearer é"):
            with pytest.raises(Refusal):
                tokens.client(header)
        file.write_text("bob four\n")  # alice is revoked
        tokens._looked = -1e9
        with pytest.raises(Refusal):
            tokens.client("Bearer one")
        file.write_text("")  # a mistake locks nobody out, and nobody in
        tokens._looked = -1e9
        assert tokens.client("Bearer four") == "bob"
        for content in ("", "# none\n", "a b c\n", "é\n"):
            file.write_text(content)
            with pytest.raises(ValueError, match="token file"):
                TokenList(path=file)
        with pytest.raises(ValueError, match="cannot be read"):
            TokenList(path=tmp_path / "missing")


def test_archives_that_cannot_be_served(tmp_path, capsys):
    from fhe_estimators.cli import main

    iris_model(tmp_path, name="one")
    iris_model(tmp_path, name="two", max_depth=3)
    (tmp_path / "bad.server.fhe").write_bytes(b"no archive")
    for archives, sentence in (
        (["missing.server.fhe"], "is no file"),
        ([f"a/b={tmp_path}/one.server.fhe"], "cannot be a model's name"),
        ([f"{tmp_path}/one.server.fhe"] * 2, "Two models have the name 'one'"),
        ([f"{tmp_path}/bad.server.fhe"], "not an intact archive"),
    ):
        assert main(["serve", *archives, "--processes", "1"]) == 1
        assert sentence in capsys.readouterr().err
    os.replace(tmp_path / "two.client.fhe", tmp_path / "one.client.fhe")
    assert main(["serve", f"{tmp_path}/one.server.fhe", "--processes", "1"]) == 1
    assert "belong to different models" in capsys.readouterr().err


def test_silent_connections_are_closed(folder, model):
    from fhe_estimators.utils.http.server.running import impatient_protocol
    from tests.lora.served import Served

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    with Served(app, http=impatient_protocol(0.3)) as server:
        port = int(server.url.rpartition(":")[2])
        for begun in (b"", b"GET / HTTP/1.1\r\nHo", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(begun)
                received = b""
                with contextlib.suppress(ConnectionResetError):
                    while part := connection.recv(1000):
                        received += part
                assert received.startswith(b"HTTP/1.1 200") == begun.endswith(b"GET /")


def test_bugs_are_answered_and_logged_without_data(caplog):
    import httpx

    from fhe_estimators.utils.http.server import Metrics, TokenList, new_application
    from tests.lora.served import Served

    app = new_application("test", tokens=TokenList(), metrics=Metrics())

    async def fail():
        raise RuntimeError("s3cret"[::-1])

    app.get("/fail")(fail)
    with Served(app) as server:
        response = httpx.get(server.url + "/fail", trust_env=False)
    assert (response.status_code, json.loads(response.text)["code"]) == (500, "internal")
    assert "RuntimeError" in caplog.text and "terc3s" not in caplog.text + response.text
