"""Several workers, and everything that can go wrong with them."""

import json

import numpy as np
import pytest
import torch

from fhe_estimators import HELoRAFineTuner
from fhe_estimators.exceptions import ProtocolError, WorkerError, WorkerIntegrityError
from fhe_estimators.lora import HTTPWorker, LocalWorker, tensor_messages
from fhe_estimators.lora.protocol import pack_tensor
from fhe_estimators.lora.tensor_messages import tensor_parts, unpack_tensor
from fhe_estimators.lora.worker.app import create_app
from tests.lora.served import Served

SETTINGS = {"max_length": 16, "learning_rate": 1e-2, "max_steps": 3}


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


def test_layers_are_spread_over_the_workers_that_hold_them(llama, sequences, weights):
    class Counting(LocalWorker):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.asked = set()

        def multiply(self, layer, direction, ciphertexts):
            self.asked.add(layer)
            return super().multiply(layer, direction, ciphertexts)

    workers = [Counting(weights, name=name) for name in ("one", "two", "three")]
    fit(llama, sequences, workers)
    assert sorted(len(worker.asked) for worker in workers) == [2, 3, 3]
    assert set().union(*(worker.asked for worker in workers)) == set(weights)


@pytest.mark.filterwarnings("ignore:Worker .* failed")
def test_a_worker_that_fails_comes_last_for_every_layer(llama, sequences, weights):
    bad = Faulty(weights, die, name="bad")
    fit(llama, sequences, [bad, LocalWorker(weights, name="good")])
    assert bad.calls == 3


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


def test_compile_contacts_the_workers(llama, weights):
    name = next(iter(weights))
    for worker, message in (
        (LocalWorker({}), "It holds no layers"),
        (LocalWorker({"elsewhere": weights[name]}), r"holds 1 layers \(elsewhere, ...\), none of which"),
        (LocalWorker({n: -w for n, w in weights.items()}), "other weights for 8 of the model's 8 layers"),
        (LocalWorker({name: weights[name]}), "holds 1 of the model's 8 layers"),
    ):
        with pytest.raises(WorkerError, match=message):
            HELoRAFineTuner(llama, workers=worker).compile()


@pytest.mark.parametrize(
    ("workers", "error", "message"),
    [
        ([], ValueError, "empty"),
        ({"http://one": "secret"}, TypeError, "HTTPWorker"),
        ([3], TypeError, "URLs or workers"),
        (3, TypeError, "must be a URL"),
    ],
)
def test_what_is_no_list_of_workers(llama, workers, error, message):
    with pytest.raises(error, match=message):
        HELoRAFineTuner(llama, workers=workers).compile()


def test_check_workers_says_what_each_holds(llama, weights):
    name = next(iter(weights))
    workers = [
        LocalWorker(weights, name="whole"),
        LocalWorker({name: weights[name]}, name="part"),
        LocalWorker({**weights, name: -weights[name]}, name="other"),
        LocalWorker({}, name="empty"),
    ]
    tuner = HELoRAFineTuner(llama, workers=workers)
    whole, part, other, empty = tuner.check_workers()
    assert whole["usable"] and whole["n_layers"] == 8 and whole["bytes_per_second"] > 0 < whole["latency_seconds"]
    assert part["usable"] and other["usable"] and not empty["usable"]
    whole, part, other, empty = tuner.compile().check_workers()
    assert whole["message"] == "It holds all 8 layers of the model."
    assert part["usable"] and part["message"] == "It holds 1 of the model's 8 layers."
    assert not other["usable"] and "other weights for 1 of" in other["message"]
    assert not empty["usable"] and empty["message"] == "It holds no layers."
    in_process = HELoRAFineTuner(llama).compile().check_workers()
    assert [report["worker"] for report in in_process] == ["in-process"]


def old_message(kind, tensor, **header):
    return pack_tensor(kind, tensor, **header)


def message(kind, tensor, **header):
    return b"".join(tensor_parts(kind, tensor, **header))


class TestTensorMessages:
    @pytest.mark.parametrize("pack", [message, old_message])
    @pytest.mark.parametrize("dtype", [torch.int8, torch.int32])
    def test_round_trip(self, pack, dtype):
        tensor = torch.arange(24, dtype=dtype).reshape(2, 3, 4)
        found, header = unpack_tensor("product", pack("product", tensor, seconds=1.5))
        assert torch.equal(found, tensor) and found.dtype == dtype and header["seconds"] == 1.5

    @pytest.mark.parametrize("pack", [message, old_message])
    def test_damaged_messages(self, pack):
        good = pack("product", torch.ones((2, 3), dtype=torch.int8))
        for bad in (good[:-1], good[:20], b"", good[:60] + bytes([good[60] ^ 1]) + good[61:], good + bytes(8)):
            with pytest.raises(ProtocolError):
                unpack_tensor("product", bad)
        with pytest.raises(ProtocolError, match="kind"):
            unpack_tensor("hint", good)

    @pytest.mark.parametrize("n_bytes", [5, 4096, 10_000])
    def test_any_flipped_bit_and_any_cut_is_found(self, n_bytes):
        good = message("product", torch.randint(-128, 128, (n_bytes,), dtype=torch.int8))
        places = range(0, len(good), max(1, len(good) // 300))
        for bad in (good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :] for place in places):
            with pytest.raises(ProtocolError):
                unpack_tensor("product", bad)
        for bad in (good[:place] for place in places):
            with pytest.raises(ProtocolError):
                unpack_tensor("product", bad)

    def test_nothing_is_copied_to_send_and_to_read(self):
        tensor = torch.arange(100_000, dtype=torch.int32)
        parts = tensor_parts("hint", tensor)
        assert np.frombuffer(parts[1], dtype=np.int32).ctypes.data == tensor.data_ptr()
        buffer = bytearray(b"".join(parts))
        found, _ = unpack_tensor("hint", buffer)
        assert found.data_ptr() == torch.frombuffer(buffer, dtype=torch.uint8).data_ptr() + len(parts[0])
        assert len(parts[0]) % 64 == 0

    @pytest.mark.parametrize(
        "header",
        [
            {"shape": [2, 4], "dtype": "int8"},
            {"shape": [-2, -3], "dtype": "int8"},
            {"shape": "6", "dtype": "int8"},
            {"shape": [6], "dtype": "object"},
            {"shape": [1] * 64 + [6], "dtype": "int8"},
            {"shape": [0, 10**30], "dtype": "int8"},
            {"shape": [6.0], "dtype": "int8"},
            {"shape": [True, 6], "dtype": "int8"},
            {"shape": [6]},
            {},
        ],
    )
    def test_lying_headers(self, header):
        from fhe_estimators.backends.messages import pack_message

        with pytest.raises(ProtocolError, match="malformed"):
            unpack_tensor("product", pack_message("product", header, [bytes(6)]))
        _, content = tensor_parts("product", torch.zeros(6, dtype=torch.int8))
        text = json.dumps({"kind": "product", **header}).encode()
        prefix = tensor_messages._PREFIX.pack(b"FHET", 1, len(text)) + tensor_messages._digest(text, content)
        with pytest.raises(ProtocolError, match="malformed"):
            unpack_tensor("product", prefix + text + bytes(content))
