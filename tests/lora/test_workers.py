"""Workers over HTTP, several of them, and everything that can go wrong with them."""

import socket
import threading
import time

import numpy as np
import pytest
import torch
import uvicorn

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import ProtocolError, WorkerError, WorkerIntegrityError
from fhe_estimators.lora import HTTPWorker, LocalWorker
from fhe_estimators.lora.protocol import pack_tensor, unpack_tensor
from fhe_estimators.lora.worker.app import create_app

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "max_steps": 3}


class Served:
    """An application on a free port, in a thread."""

    def __init__(self, app):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self):
        self._server.should_exit = True
        self._thread.join(timeout=10)


@pytest.fixture(scope="module")
def weights(llama):
    layers = HELoRAFineTuner(llama).compile().program_.layers
    return {layer.name: layer.weights for layer in layers}


@pytest.fixture(scope="module")
def expected(llama, sequences):
    return [h["loss"] for h in HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="execute").history_]


def fit(llama, sequences, workers):
    tuner = HELoRAFineTuner(llama, workers=workers, **SETTINGS).fit(sequences, fhe="execute")
    return tuner, [entry["loss"] for entry in tuner.history_]


def test_two_workers_over_http_share_the_layers(llama, sequences, weights, expected):
    names = sorted(weights)
    halves = [{n: weights[n] for n in part} for part in (names[:5], names[3:])]
    servers = [Served(create_app(LocalWorker(half), token="secret")) for half in halves]
    try:
        tuner, losses = fit(llama, sequences, [HTTPWorker(server.url, token="secret") for server in servers])
        np.testing.assert_allclose(losses, expected, rtol=0.01)
        assert tuner.history_[0]["transfer_seconds"] > 0
    finally:
        for server in servers:
            server.stop()


class Faulty(LocalWorker):
    """A worker that misbehaves from its third product on."""

    def __init__(self, weights, fault, **options):
        super().__init__(weights, **options)
        self.fault, self.calls = fault, 0

    def multiply(self, layer, direction, ciphertexts):
        self.calls += 1
        response, seconds = super().multiply(layer, direction, ciphertexts)
        return (response, seconds) if self.calls < 3 else self.fault(response, seconds)


def flip_one_value(response, seconds):
    response[1, 1, 2] ^= 4
    return response, seconds


def die(response, seconds):
    raise WorkerError("connection refused")


FAULTS = {
    "flips one value": flip_one_value,
    "dies": die,
    "responses for fewer tokens": lambda response, seconds: (response[:-1], seconds),
    "responses in another type": lambda response, seconds: (response.int(), seconds),
    "does nothing": lambda response, seconds: (torch.zeros_like(response), seconds),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_training_goes_on_with_the_same_result_when_a_worker_fails(fault, llama, sequences, weights, expected):
    workers = [Faulty(weights, FAULTS[fault], name="bad"), LocalWorker(weights, name="good")]
    with pytest.warns(RuntimeWarning, match="Worker bad failed"):
        _, losses = fit(llama, sequences, workers)
    np.testing.assert_allclose(losses, expected, rtol=0.01)


@pytest.mark.filterwarnings("ignore:Worker .* failed")
@pytest.mark.parametrize(("fault", "error"), [("flips one value", WorkerIntegrityError), ("dies", WorkerError)])
def test_without_another_worker_the_error_names_the_one_that_failed(fault, error, llama, sequences, weights):
    with pytest.raises(error, match="bad"):
        fit(llama, sequences, [Faulty(weights, FAULTS[fault], name="bad")])


def test_without_verification_wrong_answers_pass(llama, sequences, weights, expected):
    worker = Faulty(weights, FAULTS["does nothing"], name="bad")
    tuner = HELoRAFineTuner(llama, workers=[worker], verify=False, **SETTINGS).fit(sequences, fhe="execute")
    honest = HELoRAFineTuner(llama, **SETTINGS).fit(sequences, fhe="execute").history_[0]["loss"]
    assert abs(tuner.history_[0]["loss"] - expected[0]) > 10 * abs(honest - expected[0])


@pytest.mark.filterwarnings("ignore:Worker .* failed")
def test_a_wrong_hint_is_noticed(llama, sequences, weights):
    class Liar(LocalWorker):
        def hint(self, layer, direction, seed, parameters):
            return super().hint(layer, direction, seed, parameters).roll(1, dims=0)

    with pytest.raises(WorkerIntegrityError, match="wrong hint"):
        fit(llama, sequences, [Liar(weights)])


def test_other_weights_and_missing_layers_are_noticed_before_training(llama, sequences, weights):
    name = next(iter(weights))
    with pytest.raises(WorkerError, match="hold other weights for layer"):
        fit(llama, sequences, [LocalWorker({**weights, name: -weights[name]})])
    with pytest.raises(WorkerError, match="No worker holds layer"):
        fit(llama, sequences, [LocalWorker({n: w for n, w in weights.items() if n != name})])
    with pytest.raises(ValueError, match="same worker twice"):
        fit(llama, sequences, [LocalWorker(weights), LocalWorker(weights)])


@pytest.fixture(scope="module")
def server(weights):
    server = Served(create_app(LocalWorker(weights), token="secret", max_body_bytes=10_000))
    yield server
    server.stop()


class TestHTTP:
    def test_needs_the_token(self, server):
        for token in (None, "wrong"):
            with pytest.raises(WorkerError, match=r"HTTP 401"):
                HTTPWorker(server.url, token=token).digests()

    def test_token_from_the_environment(self, server, monkeypatch, weights):
        monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", "secret")
        assert set(HTTPWorker(server.url).digests()) == set(weights)

    def test_large_bodies_are_refused(self, server, weights):
        ciphertexts = torch.zeros((200, 3, 32), dtype=torch.int8)
        with pytest.raises(WorkerError, match=r"HTTP 413|cannot be reached"):
            HTTPWorker(server.url, token="secret").multiply(next(iter(weights)), "forward", ciphertexts)

    @pytest.mark.parametrize(
        ("layer", "direction", "shape"),
        [("nowhere", "forward", (2, 3, 32)), (None, "sideways", (2, 3, 32)), (None, "forward", (2, 3, 5))],
    )
    def test_bad_requests_are_refused_with_the_reason(self, server, weights, layer, direction, shape):
        ciphertexts = torch.zeros(shape, dtype=torch.int8)
        with pytest.raises(WorkerError, match=r"HTTP 400.*(hold|direction|shape)"):
            HTTPWorker(server.url, token="secret").multiply(layer or next(iter(weights)), direction, ciphertexts)

    def test_weak_parameters_are_refused_by_the_worker(self, server, weights):
        class Weak:
            def to_dict(self):
                return {"dimension": 1024, "modulus_bits": 32, "ring_degree": 64}

        with pytest.raises(WorkerError, match="below 128-bit security"):
            HTTPWorker(server.url, token="secret").hint(next(iter(weights)), "forward", bytes(32), Weak())

    def test_garbage_is_refused(self, server):
        import httpx

        headers = {"Authorization": "Bearer secret"}
        for path in ("/v1/products", "/v1/hints"):
            assert httpx.post(server.url + path, content=b"garbage", headers=headers).status_code == 400

    def test_unreachable_and_silent_workers(self):
        with pytest.raises(WorkerError, match="cannot be reached"):
            HTTPWorker("http://127.0.0.1:9").digests()
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            worker = HTTPWorker(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=0.2)
            with pytest.raises(WorkerError, match="did not answer in time"):
                worker.digests()

    def test_another_protocol_version(self):
        from fastapi import FastAPI

        app = FastAPI()
        app.get("/v1/layers")(lambda: {"protocol_version": 99, "layers": {}})
        server = Served(app)
        try:
            with pytest.raises(WorkerError, match="protocol version 99"):
                HTTPWorker(server.url).digests()
        finally:
            server.stop()


class TestTensorMessages:
    @pytest.mark.parametrize("dtype", [torch.int8, torch.int32])
    def test_round_trip(self, dtype):
        tensor = torch.arange(24, dtype=dtype).reshape(2, 3, 4)
        found, header = unpack_tensor("product", pack_tensor("product", tensor, seconds=1.5))
        assert torch.equal(found, tensor) and found.dtype == dtype and header["seconds"] == 1.5

    def test_damaged_messages(self):
        message = pack_tensor("product", torch.ones((2, 3), dtype=torch.int8))
        for bad in (message[:-1], message[:20], b"", message[:60] + bytes([message[60] ^ 1]) + message[61:]):
            with pytest.raises(ProtocolError):
                unpack_tensor("product", bad)
        with pytest.raises(ProtocolError, match="kind"):
            unpack_tensor("hint", message)

    @pytest.mark.parametrize(
        "header",
        [
            {"shape": [2, 4], "dtype": "int8"},
            {"shape": [-2, -3], "dtype": "int8"},
            {"shape": "6", "dtype": "int8"},
            {"shape": [6], "dtype": "object"},
            {"shape": [6]},
            {},
        ],
    )
    def test_lying_headers(self, header):
        from fhe_estimators.backends.messages import pack_message

        with pytest.raises(ProtocolError, match="malformed"):
            unpack_tensor("product", pack_message("product", header, [bytes(6)]))
