"""The page of `fhe-estimators connect`: who may ask it, and what it answers."""

import csv
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("pandas")

import httpx
from starlette.websockets import WebSocketDisconnect

from fhe_estimators.cli import main
from fhe_estimators.exceptions import ServiceError
from fhe_estimators.serving.client.connect import command, job
from fhe_estimators.serving.client.connect.app import MAX_TABLE_BYTES
from fhe_estimators.serving.client.connect.guard import POLICY, PUBLIC_PATHS
from tests.serving.connected import (
    AUTHORIZED,
    HOST,
    HOSTILE,
    SECRET,
    TOKEN,
    Connect,
    finished,
    hostile_model,
    hostile_service,
    page_of,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    return hostile_model(folder)


@pytest.fixture(scope="module")
def service(folder, model):
    with hostile_service(folder) as found:
        yield found


@pytest.fixture(scope="module")
def page(service):
    return page_of(service[1])[0]


def as_csv(rows):
    return rows.to_csv(index=False).encode()


class TestWhoMayAsk:
    REQUESTS = (
        ("GET", "/api/model"),
        ("POST", "/api/row"),
        ("POST", "/api/table"),
        ("GET", "/api/jobs/1"),
        ("DELETE", "/api/jobs/1"),
        ("GET", "/api/jobs/1/scores.csv"),
        ("GET", "/openapi.json"),
        ("GET", "/other"),
        ("POST", "/"),
    )

    @pytest.mark.parametrize(("method", "path"), REQUESTS)
    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": SECRET},
            {"Authorization": f"Bearer {SECRET}x"},
            {"Authorization": "Bearer "},
            {"Cookie": f"token={SECRET}"},
        ],
    )
    def test_nobody_without_the_token(self, page, method, path, headers):
        origin = {"Origin": f"http://{HOST}"}
        assert page.request(method, path, headers={**origin, **headers}).status_code == 401
        assert page.request(method, f"{path}?token={SECRET}", headers=origin).status_code == 401

    @pytest.mark.parametrize(("method", "path"), [*REQUESTS, ("GET", "/"), ("GET", "/connect.js")])
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost:4321", f"{HOST}.evil.example"]
    )
    def test_no_other_host_is_ours(self, page, method, path, host):
        assert page.request(method, path, headers={**AUTHORIZED, "Host": host}).status_code == 421

    @pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", f"https://{HOST}", ""])
    def test_no_other_page(self, page, origin):
        for method, path in (*self.REQUESTS, ("GET", "/")):
            assert page.request(method, path, headers={**AUTHORIZED, "Origin": origin}).status_code == 403

    def test_what_changes_something_says_which_page_it_is_from(self, page):
        without = {"Authorization": AUTHORIZED["Authorization"]}
        assert page.post("/api/row", headers=without).status_code == 403
        assert page.get("/api/model", headers=without).status_code == 200
        for site in ("cross-site", "same-site", "none"):
            assert page.get("/api/model", headers={**without, "Sec-Fetch-Site": site}).status_code == 403

    def test_websockets_and_preflights_are_refused(self, page):
        preflight = page.options("/api/row", headers={"Origin": "http://evil.example"})
        assert preflight.status_code == 403 and "access-control-allow-origin" not in preflight.headers
        with pytest.raises(WebSocketDisconnect), page.websocket_connect("/"):
            pass

    def test_files_hold_no_secret_and_load_nothing_from_elsewhere(self, page):
        for path in PUBLIC_PATHS:
            response = page.get(path)
            assert response.status_code == 200 and SECRET not in response.text and TOKEN not in response.text
            assert "//" not in response.text.replace("// ", "") and "innerHTML" not in response.text
            assert "style=" not in response.text and "onclick=" not in response.text.replace(" ", "_")
        for response in (page.get("/"), page.get("/api/model"), page.get("/api/model", headers=AUTHORIZED)):
            assert response.headers["content-security-policy"] == POLICY and "unsafe" not in POLICY
            assert response.headers["x-frame-options"] == "DENY" and response.headers["cache-control"] == "no-store"
            assert "set-cookie" not in response.headers


class TestScores:
    def test_what_is_asked_for(self, page):
        found = page.get("/api/model", headers=AUTHORIZED).json()
        assert found["features"][0]["name"] == HOSTILE
        assert found["has_reasons"] and found["task"] == "classification" and found["features"][0]["may_be_missing"]

    def test_a_row_is_sent_once_and_shown_with_margin_and_reasons(self, page, model, service):
        clf, X = model
        body = json.dumps([repr(value) for value in X.iloc[70]])
        finished(page, page.post("/api/row", content=body, headers=AUTHORIZED))  # keys are sent
        status = finished(page, page.post("/api/row?reasons=true", content=body, headers=AUTHORIZED))
        (row,) = status["results"]
        expected = clf.predict_proba(X.iloc[70:71])[0]
        assert row["predictions"] == list(clf.predict(X.iloc[70:71]))
        np.testing.assert_allclose([value for _, value in row["probabilities"][0]], expected)
        assert row["margins"] == [pytest.approx(np.diff(np.sort(expected))[-1])]
        assert row["reasons"][0]["sum"] == pytest.approx(expected.max(), abs=1e-3)
        assert status["requests"] == 2 and status["request_bytes"] > 10_000 and status["response_bytes"] > 1000
        assert finished(page, page.post("/api/row", content=body, headers=AUTHORIZED))["key_bytes"] == 0

    def test_a_table_and_its_file(self, page, model):
        clf, X = model
        rows = X.iloc[:120].assign(id=[f"P{number}" for number in range(120)], margin="mine")
        response = page.post("/api/table?reasons=true", content=as_csv(rows), headers=AUTHORIZED)
        status = finished(page, response)
        assert status["done"] == status["rows"] == len(status["results"]) == 120 and "'id'" in status["notes"][0]
        content = page.get(f"/api/jobs/{response.json()['job']}/scores.csv", headers=AUTHORIZED).text
        found = list(csv.DictReader(io.StringIO(content)))
        assert [row["id"] for row in found] == list(rows["id"]) and found[0]["input_margin"] == "mine"
        labels = [f"'{label}" if label.startswith("=") else label for label in clf.predict(X.iloc[:120])]
        assert [row["prediction"] for row in found] == labels
        of_csv = [float(row["probability_third"]) for row in found]
        np.testing.assert_array_equal(of_csv, clf.predict_proba(X.iloc[:120])[:, list(clf.classes_).index("third")])
        assert float(found[3][f"contribution_0_{HOSTILE}"]) == pytest.approx(
            clf.predict_contributions(X.iloc[3:4])[0, 0, 0], abs=1e-9
        )

    def test_no_row_leaves_in_the_clear(self, service, model, monkeypatch):
        page, remote = page_of(service[1])
        sent = []
        connection = remote._session()._connection._connection
        request = connection.request

        def kept(method, path, content=b"", **options):
            sent.append((path, content))
            return request(method, path, content, **options)

        monkeypatch.setattr(connection, "request", kept)
        finished(page, page.post("/api/row", content=json.dumps(["7.125", "3.5", "4.75", "1.5"]), headers=AUTHORIZED))
        assert any("predict" in path for path, _ in sent)
        for path, content in sent:
            assert b"7.125" not in content and np.float64(7.125).tobytes() not in content and "7.125" not in path

    @pytest.mark.parametrize(
        ("path", "content", "message"),
        [
            ("/api/row", '["1", "2", "x", "4"]', "'x' is no number"),
            ("/api/row", '["1"]', "4 features; 1 values"),
            ("/api/row", "[1, 2, 3, 4]", "JSON list of texts"),
            ("/api/row", "{", "JSON list of texts"),
            ("/api/row", "[" * 100_000, "JSON list of texts"),
            ("/api/table", "a,b\n1,2\n", "lacks 4 columns"),
            ("/api/table", b"\xff\xfe", "no UTF-8"),
        ],
    )
    def test_what_is_wrong_is_said(self, page, path, content, message):
        response = page.post(path, content=content, headers=AUTHORIZED)
        assert response.status_code == 400 and message in response.json()["detail"]

    def test_large_tables_are_for_the_command(self, page):
        headers = {**AUTHORIZED, "Content-Length": str(MAX_TABLE_BYTES + 1)}
        assert page.post("/api/table", content=b"x", headers=headers).status_code == 413
        assert page.get("/api/jobs/999", headers=AUTHORIZED).status_code == 404

    def test_one_table_at_a_time_which_can_be_cancelled(self, service, model, monkeypatch):
        page, remote = page_of(service[1], rows_per_request=10, n_concurrent=1)
        reached, go_on = threading.Event(), threading.Event()
        scored = remote._scored

        def slow(*arguments):
            reached.set()
            assert go_on.wait(30)
            return scored(*arguments)

        monkeypatch.setattr(remote, "_scored", slow, raising=False)
        number = page.post("/api/table", content=as_csv(model[1]), headers=AUTHORIZED).json()["job"]
        assert reached.wait(30)
        assert page.post("/api/table", content=as_csv(model[1]), headers=AUTHORIZED).status_code == 409
        assert page.get(f"/api/jobs/{number}/scores.csv", headers=AUTHORIZED).status_code == 409
        assert page.delete(f"/api/jobs/{number}", headers=AUTHORIZED).status_code == 204
        go_on.set()
        response = httpx.Response(200, json={"job": number})
        status = finished(page, response)
        assert status["state"] == "cancelled" and status["done"] == 10 and "results" not in status

    def test_failures_are_told(self, folder, model, monkeypatch, capsys):
        with hostile_service(folder) as (_, url, _):
            page, remote = page_of(url, retry_seconds=0.1)
            remote._session()
        body = json.dumps(["1", "2", "3", "4"])
        status = finished(page, page.post("/api/row", content=body, headers=AUTHORIZED))
        assert status["state"] == "failed" and "cannot be reached" in status["error"]
        changed = ServiceError("Call refresh().")
        changed.code = "model_changed"
        monkeypatch.setattr(job.Job, "_scored", lambda self: (_ for _ in ()).throw(changed))
        status = finished(page, page.post("/api/row", content=body, headers=AUTHORIZED))
        assert status["state"] == "failed" and "start it again" in status["error"]
        monkeypatch.setattr(job.Job, "_scored", lambda self: {}["secret row"])
        status = finished(page, page.post("/api/row", content=body, headers=AUTHORIZED))
        assert status["state"] == "failed" and status["error"].startswith("KeyError: the terminal")
        assert "Traceback" in capsys.readouterr().err


class TestCommand:
    def test_it_serves_this_machine_until_interrupted(self, service, model, tmp_path):
        token_file = tmp_path / "token"
        token_file.write_text(TOKEN + "\n")
        token_file.chmod(0o600)
        with Connect(service[1], token_file) as found:
            base, _, secret = found.address.partition("/#")
            with httpx.Client(base_url=base, trust_env=False) as http:
                assert http.get("/").status_code == 200 and http.get("/api/model").status_code == 401
                answer = http.get("/api/model", headers={"Authorization": f"Bearer {secret}"})
                assert answer.json()["name"] == "model" and len(secret) >= 40
                port = base.rpartition(":")[2]
                assert http.get("/", headers={"Host": f"localhost:{port}"}).status_code == 421
                assert "server" not in answer.headers
            assert found.stop() == 0

    def test_the_token_file_is_for_its_owner(self, tmp_path, capsys):
        path = tmp_path / "token"
        for content, mode, message in (
            (b"secret-token", 0o644, "can be read by others"),
            (b"two tokens", 0o600, "one token and nothing else"),
            (b"", 0o600, "one token and nothing else"),
            ("é".encode(), 0o600, "one token and nothing else"),
        ):
            path.write_bytes(content)
            path.chmod(mode)
            assert main(["connect", "http://127.0.0.1:9", "--token-file", str(path), "--no-browser"]) == 1
            error = capsys.readouterr().err
            assert message in error and "secret-token" not in error
        assert main(["connect", "http://127.0.0.1:9", "--token-file", str(tmp_path / "none")]) == 1
        assert "cannot be read" in capsys.readouterr().err

    def test_no_argument_of_a_browser_holds_the_secret(self, monkeypatch):
        opened, found = threading.Event(), []

        def fake(address):
            path = Path(address.removeprefix("file://"))
            found.append((address, path.stat().st_mode & 0o777, path.read_text()))
            opened.set()

        monkeypatch.setattr(command.webbrowser, "open", fake)
        with command._opened("http://127.0.0.1:1/#secret"):
            assert opened.wait(10)
        ((address, mode, text),) = found
        assert "secret" not in address and mode == 0o600 and "url=http://127.0.0.1:1/#secret" in text
        assert not Path(address.removeprefix("file://")).exists()
