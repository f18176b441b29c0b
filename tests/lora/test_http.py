"""A worker at a URL: what it answers, what it refuses, and what a client says of one that cannot be used."""

import json
import pickle
import socket
import time
import warnings

import httpx
import pytest
import torch

from fhe_estimators import HELoRAFineTuner, __version__
from fhe_estimators.backends.lwe import LWEBackend, LWEParameters
from fhe_estimators.cli import main
from fhe_estimators.exceptions import ProtocolError, WorkerError
from fhe_estimators.lora import HTTPWorker, LocalWorker
from fhe_estimators.lora.protocol import pack_tensor
from fhe_estimators.lora.worker.app import create_app
from tests.lora.certificates import self_signed, server_context
from tests.lora.models import make_model
from tests.lora.served import RawServer, Served, free_port, http

#: Patient: the first product of a process is timed in several ways.
CLIENT = httpx.Client(timeout=60)
TOKEN = {"Authorization": "Bearer secret"}
PARAMETERS = LWEParameters(1024, 26, 64)


@pytest.fixture(scope="module")
def weights():
    layers = HELoRAFineTuner(make_model()).compile().program_.layers
    return {layer.name: layer.weights for layer in layers}


@pytest.fixture(scope="module")
def layer(weights):
    return next(iter(weights))


@pytest.fixture(scope="module")
def server(weights):
    with Served(create_app(LocalWorker(weights), token="secret", max_body_bytes=600_000)) as server:
        yield server
        assert server.is_alive


def begun_request(server, length):
    """A connection on which a request has begun, whose body does not come."""
    connection = socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])))
    lines = ["POST /v1/products HTTP/1.1", "Host: x", "Authorization: Bearer secret", f"Content-Length: {length}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


class TestServer:
    def test_every_path_needs_the_token(self, server, layer):
        body = pack_tensor(
            "product_request", torch.zeros((2, 3, 32), dtype=torch.int8), layer=layer, direction="forward"
        )
        hint = {"layer": layer, "direction": "forward", "seed": "00" * 32, "parameters": PARAMETERS.to_dict()}
        requests = [("GET", "layers", b""), ("POST", "products", body), ("POST", "hints", json.dumps(hint).encode())]
        for method, path, content in requests:
            url = f"{server.url}/v1/{path}"
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "secret"}):
                assert CLIENT.request(method, url, content=content, headers=headers).status_code == 401
            assert CLIENT.request(method, url, content=content, headers=TOKEN).status_code == 200

    def test_the_command_hands_its_token_to_the_application(self, weights, monkeypatch):
        import uvicorn

        from fhe_estimators.lora.worker import serve_command

        served = []
        monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", "secret")
        monkeypatch.setattr(serve_command, "load_worker", lambda *_, **__: LocalWorker(weights))
        monkeypatch.setattr(uvicorn, "run", lambda app, **_: served.append(app))
        serve_command.serve("model")
        with Served(served[0]) as server:
            assert CLIENT.get(server.url + "/v1/layers").status_code == 401
            assert CLIENT.get(server.url + "/v1/layers", headers=TOKEN).status_code == 200

    def test_large_bodies_are_refused_and_the_server_goes_on(self, server, layer):
        worker = HTTPWorker(server.url, token="secret")
        with pytest.raises(WorkerError, match=r"HTTP 413.*larger than 600000 bytes"):
            worker.multiply(layer, "forward", torch.zeros((10_000, 3, 32), dtype=torch.int8))
        parts = (bytes(100_000) for _ in range(50))  # without a Content-Length
        assert CLIENT.post(server.url + "/v1/products", content=parts, headers=TOKEN).status_code == 413
        assert CLIENT.post(server.url + "/v1/hints", content=bytes(100_000), headers=TOKEN).status_code == 413
        assert set(worker.digests())

    def test_large_bodies_are_refused_before_they_are_read(self, server):
        with begun_request(server, 999_999_999_999) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 413")

    def test_requests_with_a_larger_response_are_refused(self, weights, layer):
        narrow = {layer: torch.ones((60_000, 2), dtype=torch.int8)}
        with Served(create_app(LocalWorker(narrow), max_body_bytes=600_000)) as server:
            with pytest.raises(WorkerError, match=r"HTTP 413.*response"):
                HTTPWorker(server.url).multiply(layer, "forward", torch.zeros((10, 3, 2), dtype=torch.int8))
            with pytest.raises(WorkerError, match=r"HTTP 413.*response"):
                HTTPWorker(server.url).hint(layer, "forward", bytes(32), PARAMETERS)

    def test_compressed_bodies_are_refused(self, server):
        response = CLIENT.post(server.url + "/v1/products", content=b"x", headers={**TOKEN, "Content-Encoding": "gzip"})
        assert response.status_code == 415

    def test_requests_that_take_for_ever_are_refused(self, weights):
        with (
            Served(create_app(LocalWorker(weights), token="secret", body_seconds=0.2)) as server,
            begun_request(server, 1000) as connection,
        ):
            connection.settimeout(5)
            assert connection.recv(100).startswith(b"HTTP/1.1 408")

    @pytest.mark.parametrize(
        ("name", "direction", "shape"),
        [("nowhere", "forward", (2, 3, 32)), (None, "sideways", (2, 3, 32)), (None, "forward", (2, 3, 5))],
    )
    def test_bad_requests_are_refused_with_the_reason(self, server, layer, name, direction, shape):
        with pytest.raises(WorkerError, match=r"HTTP 400.*(hold|direction|shape)"):
            HTTPWorker(server.url, token="secret").multiply(
                name or layer, direction, torch.zeros(shape, dtype=torch.int8)
            )

    @pytest.mark.parametrize(
        "change",
        [
            {"dimension": "1024"},
            {"dimension": 1024.0},
            {"dimension": 10**400},
            {"ring_degree": 3},
            {"ring_degree": True},
            {"modulus_bits": None},
            {"noise": 0},
            {"dimension": 32768, "modulus_bits": 32},
        ],
    )
    def test_parameters_of_hints_are_those_of_the_engine(self, server, layer, change):
        body = {"layer": layer, "direction": "forward", "seed": "00" * 32}
        body["parameters"] = {**PARAMETERS.to_dict(), **change}
        response = CLIENT.post(server.url + "/v1/hints", json=body, headers=TOKEN)
        assert response.status_code == 400 and ("arameters" in response.text or "ring_degree=3" in response.text)

    def test_weak_parameters_are_refused(self, server, layer):
        body = {"layer": layer, "direction": "forward", "seed": "00" * 32}
        body["parameters"] = {"dimension": 1024, "modulus_bits": 32, "ring_degree": 64}
        response = CLIENT.post(server.url + "/v1/hints", json=body, headers=TOKEN)
        assert response.status_code == 400 and "below 128-bit security" in response.text

    @pytest.mark.parametrize(
        "content",
        [
            b"garbage",
            b"",
            b"[" * 10_000,
            b'{"a":' * 3_000,
            b"null",
            b'{"layer": NaN}',
            json.dumps({"layer": "x", "direction": "forward", "seed": "00", "parameters": {}}).encode(),
            json.dumps({"layer": "x", "direction": "forward", "seed": "00" * 32, "parameters": {}, "more": 1}).encode(),
        ],
    )
    def test_garbage_is_refused(self, server, content):
        for path in ("/v1/products", "/v1/hints"):
            assert CLIENT.post(server.url + path, content=content, headers=TOKEN).status_code == 400

    def test_unknown_fields_of_product_requests_are_refused(self, server, layer):
        ciphertexts = torch.zeros((2, 3, 32), dtype=torch.int8)
        for change in ({"more": 1}, {"layer": 5}, {"layer": None}, {"direction": ["forward"]}):
            body = pack_tensor("product_request", ciphertexts, **{"layer": layer, "direction": "forward", **change})
            response = CLIENT.post(server.url + "/v1/products", content=body, headers=TOKEN)
            assert response.status_code == 400 and "malformed" in response.text

    def test_registration_names_shapes_and_release(self, server, weights):
        worker = HTTPWorker(server.url, token="secret")
        assert set(worker.digests()) == set(weights)
        assert worker.shapes_ == {name: tuple(matrix.shape) for name, matrix in weights.items()}
        assert worker.release_ == __version__


def registration(**fields):
    return json.dumps({"protocol_version": 1, "layers": {}, **fields}).encode()


def said_of(url, **options):
    with pytest.raises((WorkerError, ProtocolError)) as found:
        HTTPWorker(url, timeout_seconds=1, **options).digests()
    assert url in str(found.value)  # it names the worker
    return str(found.value)


class TestWhyAWorkerCannotBeUsed:
    """Each way has a sentence of its own that names the worker and says what to do."""

    def test_tokens(self, server, monkeypatch):
        monkeypatch.delenv("FHE_ESTIMATORS_TOKEN", raising=False)
        assert "refuses the token (HTTP 401): give it the one" in said_of(server.url, token="wrong")
        assert "wants a token, and none was sent" in said_of(server.url)

    def test_ports_hosts_and_urls(self):
        assert "nothing listens at that port. Is the worker running" in said_of(f"http://127.0.0.1:{free_port()}")
        assert "its host name is unknown (DNS)" in said_of("http://nowhere.invalid:8400")
        for url in (
            "worker:8400",
            "ftp://worker",
            "worker",
            "",
            "http://",
            "http://[::1",
            "http://host:port",
            "http:// x",
        ):
            assert "URL looks like https://worker.example:8400" in said_of(url)
        assert "holds a user or password" in said_of("http://me:secret@host")

    @pytest.mark.parametrize(
        ("host", "days", "sentence"),
        [
            ("127.0.0.1", 1, 'its certificate is not trusted (self-signed certificate). Pass .* verify="ca.pem"'),
            ("127.0.0.1", -1, "its certificate is out of date|not trusted"),
        ],
    )
    def test_certificates_that_are_not_trusted(self, tmp_path, host, days, sentence):
        import re

        certificate, key = self_signed(tmp_path, host=host, days=days)
        with RawServer(lambda _: http(registration()), server_context(certificate, key)) as server:
            assert re.search(sentence.replace("(", r"\(").replace(")", r"\)"), said_of(server.url))

    @pytest.mark.parametrize(
        ("host", "days", "sentence"),
        [("elsewhere.example", 1, "its certificate is for another host"), ("127.0.0.1", -1, "is out of date")],
    )
    def test_wrong_certificates_of_a_trusted_authority(self, tmp_path, host, days, sentence):
        certificate, key = self_signed(tmp_path, host=host, days=days)
        with RawServer(lambda _: http(registration()), server_context(certificate, key)) as server:
            assert sentence in said_of(server.url, verify=str(certificate))

    def test_a_trusted_certificate(self, tmp_path):
        certificate, key = self_signed(tmp_path)
        with RawServer(lambda _: http(registration()), server_context(certificate, key)) as server:
            assert HTTPWorker(server.url, verify=str(certificate)).digests() == {}

    def test_tls_where_there_is_none_and_the_other_way_round(self, tmp_path, server):
        assert "it speaks no TLS there" in said_of(server.url.replace("http:", "https:"))
        certificate, key = self_signed(tmp_path)
        with RawServer(lambda _: [], server_context(certificate, key)) as hidden:
            assert "URL that begins with https://" in said_of(hidden.url.replace("https:", "http:"))
        assert "verify= does not exist" in said_of("https://127.0.0.1:9", verify="/nowhere/ca.pem")

    def test_a_proxy_that_is_not_there(self, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@127.0.0.1:{free_port()}")
        said = said_of("https://worker.example:8400")
        assert "the proxy 127.0.0.1:" in said and "NO_PROXY" in said and "secret" not in said
        monkeypatch.setenv("NO_PROXY", "worker.invalid")
        assert "unknown (DNS)" in said_of("https://worker.invalid:8400")

    @pytest.mark.parametrize(
        ("status", "sentence"),
        [
            ("404 Not Found", "is no worker of fhe_estimators (HTTP 404 for /v1/layers)"),
            ("302 Found", "redirects (HTTP 302) to http://evil.example, which is not followed"),
            ("407 Proxy", "proxy that wants a password"),
            ("500 Error", "failed (HTTP 500): its own log says why"),
            ("503 Unavailable", "proxy or load balancer before it reaches no worker"),
            ("418 Teapot", "refused the request (HTTP 418): short and stout"),
        ],
    )
    def test_statuses(self, status, sentence):
        with RawServer(lambda _: http(b"short and \x1b[31mstout", status, Location="http://evil.example")) as server:
            assert sentence in said_of(server.url).replace(" \x1b[31m", "").replace(" [31m", "")
            assert "\x1b" not in said_of(server.url)  # a terminal is not the worker's to command

    def test_another_service(self):
        with RawServer(lambda _: http(b"<!doctype html><html>Welcome", Content_Type="text/html")) as server:
            assert "answered with a web page" in said_of(server.url)
        with RawServer(lambda _: http(b"OK")) as server:
            assert "sent no list of layers: another service" in said_of(server.url)
        with RawServer(lambda _: [b"SSH-2.0-OpenSSH_9.6\r\n"]) as server:
            assert "speaks no HTTP" in said_of(server.url)

    def test_another_release(self):
        with RawServer(lambda _: http(registration(protocol_version=99, layers="other"))) as server:
            assert "protocol version 99, this client 3: install the same release" in said_of(server.url)

    def test_silence(self):
        with RawServer(lambda _: [time.sleep(3) or b""]) as server:
            start = time.monotonic()
            assert "did not answer in time" in said_of(server.url)
            assert time.monotonic() - start < 2.5

    def test_nobody_can_be_used_says_why_for_each(self, server, weights):
        with RawServer(lambda _: http(b"<html>")) as page:
            part = LocalWorker(dict(list(weights.items())[:2]), name="part")
            workers = [HTTPWorker(server.url, token="wrong"), page.url, f"http://127.0.0.1:{free_port()}", part]
            tuner = HELoRAFineTuner(make_model(), workers=workers)
            with pytest.warns(RuntimeWarning), pytest.raises(WorkerError) as found:
                tuner.compile()
            for sentence in ("refuses the token", "a web page", "nothing listens", "holds 2 of the model's 8 layers"):
                assert sentence in str(found.value)
            messages = [report["message"] for report in tuner.check_workers()]
            assert ["refuses" in messages[0], "web page" in messages[1], "listens" in messages[2]] == [True] * 3


class TestTokens:
    def test_the_environments_token_is_for_a_single_worker(self, server, monkeypatch, weights):
        monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", "secret")
        assert set(HTTPWorker(server.url).digests()) == set(weights)
        HELoRAFineTuner(make_model(), workers=server.url).compile()
        HELoRAFineTuner(make_model(), workers=[server.url, LocalWorker(weights)]).compile()

    def test_a_file_of_tokens_by_url(self, server, monkeypatch, tmp_path):
        file = tmp_path / "tokens.json"
        file.write_text(json.dumps({server.url + "/": "secret", "http://elsewhere": "other"}))
        file.chmod(0o600)
        monkeypatch.setenv("FHE_ESTIMATORS_TOKENS_FILE", str(file))
        assert HTTPWorker(server.url).digests()
        file.chmod(0o644)
        with pytest.raises(ValueError, match="can be read by others"):
            HTTPWorker(server.url)
        for content in ("{", "[]", '{"a": 1}', "[" * 100_000, "\xff"):
            file.write_bytes(content.encode("latin-1"))
            file.chmod(0o600)
            with pytest.raises(ValueError, match="must be a JSON object"):
                HTTPWorker(server.url)
        monkeypatch.setenv("FHE_ESTIMATORS_TOKENS_FILE", str(tmp_path / "missing"))
        with pytest.raises(ValueError, match="cannot be read"):
            HTTPWorker(server.url)

    @pytest.mark.parametrize("token", ["with space", "line\nbreak", "é", ""])
    def test_tokens_that_no_header_can_hold(self, token, monkeypatch):
        monkeypatch.delenv("FHE_ESTIMATORS_TOKEN", raising=False)
        if token == "":
            assert HTTPWorker("https://worker", token=token)  # as none
        else:
            with pytest.raises(ValueError, match="printable") as found:
                HTTPWorker("https://worker", token=token)
            assert token not in str(found.value)

    def test_pickles_and_texts_do_not_hold_the_token(self, server, monkeypatch):
        worker = HTTPWorker(server.url, token="secret", timeout_seconds=7)
        assert worker.digests()
        tuner = HELoRAFineTuner(make_model(), workers=[worker]).compile()
        for shown in (repr(worker), repr(tuner), tuner._repr_html_()):
            assert "secret" not in shown
        for dumped in (pickle.dumps(worker), pickle.dumps(tuner)):
            assert b"secret" not in dumped
        with pytest.raises(WorkerError, match="none was sent"):
            pickle.loads(pickle.dumps(worker)).digests()
        monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", "secret")
        assert pickle.loads(pickle.dumps(worker)).digests()


def test_the_command_checks_workers(server, monkeypatch, capsys):
    monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", "secret")
    assert main(["worker", "--check", server.url]) == 0
    output = capsys.readouterr().out
    assert f"{server.url}: usable. It holds 8 layers." in output and "MB/s" in output and __version__ in output
    assert main(["worker", "--check", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "NOT USABLE" in capsys.readouterr().out


def test_a_worker_of_protocol_version_1_gives_24_bits_and_a_warning_says_so(llama, sequences):
    backend = LWEBackend(download_bits=16)
    tuner = HELoRAFineTuner(llama, r=2, batch_size=4, max_length=12, max_steps=1, backend=backend).compile()
    worker = LocalWorker({layer.name: layer.weights for layer in tuner.program_.layers})
    with Served(create_app(worker)) as server:

        class Older(HTTPWorker):
            def digests(self):
                found = super().digests()
                self.protocol_version_ = 1
                return found

        values = {}
        for kind in (HTTPWorker, Older):
            tuner.workers = [kind(server.url)]
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                tuner.compile()
            assert any("older release" in str(w.message) for w in caught) is (kind is Older)
            values[kind] = tuner.fit(sequences, fhe="execute").history_[0]["download_bytes"]
    assert 2 * values[Older] == 3 * values[HTTPWorker]
