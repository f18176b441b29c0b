"""One suite over all backends: what every engine must do, and must refuse."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest

from fhe_estimators.backends import resolve_backend
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    ProtocolError,
    RequestMismatchError,
)
from fhe_estimators.quantizers import QuantileQuantizer, ThresholdQuantizer, UniformQuantizer
from tests.random_trees import random_ensemble, random_rows

BACKENDS = ["clear", "ckks", "bfv", *(["tfhe"] if find_spec("concrete") else [])]
#: Rows that tests encrypt: an engine that takes a second a row gets few.
N_ROWS = {"clear": 300, "ckks": 300, "bfv": 20, "tfhe": 3}


class Deployment:
    """A compiled random ensemble with a client and an evaluator."""

    def __init__(self, name, seed=0, quantizer=None, **ensemble_options):
        rng = np.random.default_rng(seed)
        self.backend = resolve_backend(name)
        rows = random_rows(rng, 300)
        options = {"n_trees": 6, "depth": 3, **ensemble_options}
        if quantizer is None:
            ensemble = random_ensemble(rng, **options)
            quantizer = ThresholdQuantizer(ensemble).fit()
        else:
            quantizer.fit(rows)
            ensemble = random_ensemble(rng, n_thresholds=2**quantizer.n_bits - 1, **options)
        self.codes = quantizer.transform(rows)[: N_ROWS[name]]
        self.ensemble = self.backend.quantize(ensemble, quantizer)
        self.program = self.backend.compile(self.ensemble, quantizer)
        self.client = self.backend.client(self.program.client_spec)
        self.evaluator = self.backend.evaluator(self.program)

    def execute(self, codes):
        keys = self.client.generate_keys()
        return self.client.decrypt(self.evaluator.run(self.client.encrypt(codes), keys))


@pytest.fixture(scope="module", params=BACKENDS)
def deployment(request):
    return Deployment(request.param)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "options",
    [
        {"depth": 1},
        {"depth": 2, "n_trees": 1},
        {"depth": 3, "n_trees": 12},
        {"depth": 4, "leaf_probability": 0.4},
        {"depth": 6, "leaf_probability": 0.5, "n_trees": 3},
        {"depth": 3, "n_scores": 3},
        {"depth": 3, "width": 2},
        {"depth": 3, "allow_nan": False},
    ],
    ids=str,
)
def test_integers_equal_the_clear_ensemble(backend, options):
    deployed = Deployment(backend, **options)
    codes = deployed.codes
    if not options.get("allow_nan", True):
        codes = codes[(codes >= 0).all(axis=1)]
    expected = sum_leaves(deployed.ensemble, codes)
    np.testing.assert_array_equal(deployed.execute(codes), expected)
    np.testing.assert_array_equal(deployed.backend.simulate(deployed.program, codes), expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "quantizer", [UniformQuantizer(1), UniformQuantizer(2), QuantileQuantizer(3), UniformQuantizer(4)], ids=repr
)
def test_data_quantizers(backend, quantizer):
    deployed = Deployment(backend, quantizer=quantizer)
    np.testing.assert_array_equal(deployed.execute(deployed.codes), sum_leaves(deployed.ensemble, deployed.codes))


@pytest.mark.parametrize("n_rows", [1, 2, 100, 3000, 9000])
def test_any_number_of_rows(deployment, n_rows):
    if n_rows > N_ROWS[deployment.backend.name] and deployment.backend.name == "tfhe":
        pytest.skip("takes a second a row")
    codes = np.resize(deployment.codes, (n_rows, deployment.codes.shape[1]))
    np.testing.assert_array_equal(deployment.execute(codes), sum_leaves(deployment.ensemble, codes))


def test_batches_in_processes(deployment):
    if deployment.backend.name == "tfhe":
        pytest.skip("spreads a row over the cores instead")
    codes = np.resize(deployment.codes, (9000, deployment.codes.shape[1]))
    evaluator = deployment.backend.evaluator(deployment.program, n_jobs=2)
    keys = deployment.client.generate_keys()
    requests = [deployment.client.encrypt(codes) for _ in range(2)]
    responses = [evaluator.run(request, keys) for request in requests]
    for response, request in zip(responses, requests, strict=True):
        sums = deployment.client.decrypt(response, request)
        np.testing.assert_array_equal(sums, sum_leaves(deployment.ensemble, codes))
    # Other keys, same processes.
    keys = deployment.client.generate_keys()
    response = evaluator.run(deployment.client.encrypt(codes), keys)
    np.testing.assert_array_equal(deployment.client.decrypt(response), sum_leaves(deployment.ensemble, codes))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_constant_ensemble(backend):
    deployed = Deployment(backend, depth=0, n_trees=3)
    np.testing.assert_array_equal(deployed.execute(deployed.codes), sum_leaves(deployed.ensemble, deployed.codes))


def test_a_program_survives_pickling_and_reloading(deployment):
    program = pickle.loads(pickle.dumps(deployment.program))
    assert program.client_spec.program_id == deployment.program.client_spec.program_id
    reloaded = deployment.backend.load(deployment.ensemble, deployment.program.metadata())
    assert reloaded.client_spec.program_id == deployment.program.client_spec.program_id


def test_a_client_refuses_to_be_pickled(deployment):
    with pytest.raises(TypeError, match="secret key"):
        pickle.dumps(deployment.client)


def test_describe_says_what_users_ask(deployment):
    description = deployment.program.describe()
    for key in [
        "scheme",
        "security_bits",
        "poly_modulus_degree",
        "depth",
        "n_ciphertexts",
        "upload_bytes",
        "download_bytes",
        "evaluation_key_bytes",
        "server_sees",
        "client_learns",
        "can_rerandomize",
        "flooding_bits",
    ]:
        assert key in description


def test_the_described_size_of_the_keys_is_that_of_the_message(deployment):
    described = deployment.program.describe()["evaluation_key_bytes"]
    assert 0.9 * described <= len(deployment.client.generate_keys()) <= 1.1 * described + 1000


def test_keys_are_needed_first(deployment):
    client = deployment.backend.client(deployment.program.client_spec)
    calls = [lambda: client.encrypt(deployment.codes), lambda: client.evaluation_keys, client.export_keys]
    for call in [*calls, lambda: client.decrypt(b"")]:
        with pytest.raises(KeysMissingError, match="generate_keys"):
            call()


def test_keys_of_another_client_are_refused(deployment):
    other = deployment.backend.client(deployment.program.client_spec)
    deployment.client.generate_keys()
    request = deployment.client.encrypt(deployment.codes[:3])
    with pytest.raises(KeyMismatchError, match="other keys"):
        deployment.evaluator.run(request, other.generate_keys())
    response = deployment.evaluator.run(request, deployment.client.evaluation_keys)
    with pytest.raises(KeyMismatchError, match="other keys"):
        other.decrypt(response)
    with pytest.raises(KeyMismatchError, match="other keys"):
        other.decrypt(response, request)


def test_exported_keys_serve_another_client(deployment):
    keys = deployment.client.generate_keys()
    request = deployment.client.encrypt(deployment.codes[:3])
    response = deployment.evaluator.run(request, keys)
    other = deployment.backend.client(deployment.program.client_spec)
    other.import_keys(deployment.client.export_keys())
    with pytest.raises(RequestMismatchError, match="pass the request"):
        other.decrypt(response)
    expected = sum_leaves(deployment.ensemble, deployment.codes[:3])
    np.testing.assert_array_equal(other.decrypt(response, request), expected)
    # The evaluation keys that the server has fit the new client's requests, and its own are as good.
    for evaluation_keys in (keys, other.evaluation_keys):
        response = deployment.evaluator.run(other.encrypt(deployment.codes[:3]), evaluation_keys)
        np.testing.assert_array_equal(other.decrypt(response), expected)


def test_exported_keys_of_another_model_and_damaged_ones_are_refused(deployment):
    deployment.client.generate_keys()
    keys = deployment.client.export_keys()
    with pytest.raises(KeyMismatchError, match="another model"):
        Deployment(deployment.backend.name, seed=1).client.import_keys(keys)
    with pytest.raises(ProtocolError, match="truncated"):
        deployment.client.import_keys(keys[:-5])
    with pytest.raises(ProtocolError, match="kind"):
        deployment.client.import_keys(deployment.client.evaluation_keys)
    header, blobs = unpack_message("client_keys", keys)
    secrets = [b"garbage"] * (len(blobs) - 1)
    for damaged in ([], [b"short"], [blobs[0], *secrets, b"more"], [blobs[0], *secrets] if secrets else [b""]):
        with pytest.raises(ProtocolError):
            deployment.client.import_keys(pack_message("client_keys", header, damaged))
    with pytest.raises(ProtocolError, match="malformed"):
        deployment.client.import_keys(pack_message("client_keys", {**header, "key_id": "../../x"}, blobs))


def test_a_request_for_another_model_is_refused(deployment):
    other = Deployment(deployment.backend.name, seed=1)
    keys = other.client.generate_keys()
    request = other.client.encrypt(other.codes[:3])
    with pytest.raises(KeyMismatchError, match="another model"):
        deployment.evaluator.run(request, keys)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
def test_damaged_messages_are_refused(deployment, damage):
    def damaged(message):
        if damage == "truncated":
            return message[: len(message) * 2 // 3]
        if damage == "flipped":
            middle = len(message) // 2
            return message[:middle] + bytes([message[middle] ^ 4]) + message[middle + 1 :]
        return b"" if damage == "empty" else b"PK\x03\x04" + message[4:]

    keys = deployment.client.generate_keys()
    request = deployment.client.encrypt(deployment.codes[:3])
    response = deployment.evaluator.run(request, keys)
    with pytest.raises(ProtocolError, match="request"):
        deployment.evaluator.run(damaged(request), keys)
    with pytest.raises(ProtocolError, match="evaluation_keys"):
        deployment.evaluator.run(request, damaged(keys))
    with pytest.raises(ProtocolError, match="response"):
        deployment.client.decrypt(damaged(response))
    with pytest.raises(ProtocolError, match="kind"):
        deployment.evaluator.run(response, keys)


def disguised(response, request):
    """A response that claims to answer another request: what a forger can write."""
    _, blobs = unpack_message("response", response)
    header, _ = unpack_message("request", request)
    return pack_message("response", {name: header[name] for name in ("program_id", "key_id", "request_id")}, blobs)


def test_a_response_names_its_request_and_says_nothing_of_its_shape(deployment):
    keys = deployment.client.generate_keys()
    request = deployment.client.encrypt(deployment.codes[:2])
    header, _ = unpack_message("response", deployment.evaluator.run(request, keys))
    sent, _ = unpack_message("request", request)
    assert header == {name: sent[name] for name in ("program_id", "key_id", "request_id")}


def test_every_request_has_an_id_of_its_own(deployment):
    deployment.client.generate_keys()
    ids = [unpack_message("request", deployment.client.encrypt(deployment.codes[:1]))[0] for _ in range(3)]
    assert len({header["request_id"] for header in ids}) == len({header["mac"] for header in ids}) == 3


def test_a_response_answers_its_own_request_only(deployment):
    client, codes = deployment.client, deployment.codes
    keys = client.generate_keys()
    first, second = client.encrypt(codes[:1]), client.encrypt(codes[1:3])
    of_first, of_second = (deployment.evaluator.run(request, keys) for request in (first, second))
    with pytest.raises(RequestMismatchError, match="another request"):
        client.decrypt(of_first)  # the last request is the second
    with pytest.raises(RequestMismatchError, match="another request"):
        client.decrypt(of_second, first)
    np.testing.assert_array_equal(client.decrypt(of_first, first), sum_leaves(deployment.ensemble, codes[:1]))
    np.testing.assert_array_equal(client.decrypt(of_second), sum_leaves(deployment.ensemble, codes[1:3]))


def test_the_response_to_more_rows_is_refused(deployment):
    client, codes = deployment.client, deployment.codes
    keys = client.generate_keys()
    of_more = deployment.evaluator.run(client.encrypt(codes[:3]), keys)
    request = client.encrypt(codes[:2])
    with pytest.raises((ProtocolError, DecryptionError)):
        client.decrypt(disguised(of_more, request))


def test_one_response_a_request(deployment):
    client, codes = deployment.client, deployment.codes
    keys = client.generate_keys()
    other, request = client.encrypt(codes[1:2]), client.encrypt(codes[:1])
    response = deployment.evaluator.run(request, keys)
    for _ in range(2):  # the same response may be read again
        np.testing.assert_array_equal(client.decrypt(response), sum_leaves(deployment.ensemble, codes[:1]))
    forged = disguised(deployment.evaluator.run(other, keys), request)
    for asked in (None, request):
        with pytest.raises(RequestMismatchError, match="second, different response"):
            client.decrypt(forged, asked)


def test_a_request_that_was_tampered_with_decodes_nothing(deployment):
    client, codes = deployment.client, deployment.codes
    keys = client.generate_keys()
    request = client.encrypt(codes[:2])
    response = deployment.evaluator.run(request, keys)
    header, blobs = unpack_message("request", request)
    altered = [({**header, name: None}, blobs) for name in header if name not in ("program_id", "key_id")]
    altered += [({**header, "more": 1}, blobs), (header, [*blobs, b""]), (header, [bytes(len(b)) for b in blobs])]
    later = deployment.backend.client(deployment.program.client_spec)  # has no records of its own
    later.import_keys(client.export_keys())
    for fields, ciphertexts in altered:
        with pytest.raises(KeyMismatchError, match="not made by a client with these keys"):
            later.decrypt(response, pack_message("request", fields, ciphertexts))
    np.testing.assert_array_equal(later.decrypt(response, request), sum_leaves(deployment.ensemble, codes[:2]))


def test_fresh_keys_end_what_was_asked_before(deployment):
    client = deployment.client
    keys = client.generate_keys()
    request = client.encrypt(deployment.codes[:1])
    response = deployment.evaluator.run(request, keys)
    client.generate_keys()
    with pytest.raises(KeyMismatchError, match="other keys"):
        client.decrypt(response, request)


def test_servers_that_cannot_hide_their_computation_say_so(deployment):
    can = deployment.program.describe()["can_rerandomize"]
    if can:
        deployment.backend.evaluator(deployment.program, rerandomize=True)
        return
    assert deployment.program.describe()["flooding_bits"] == 0
    with pytest.raises(ValueError, match="rerandomize"):
        deployment.backend.evaluator(deployment.program, rerandomize=True)
