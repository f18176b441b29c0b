"""What all clients share: records of requests, one response a request, keys that are given up after a refusal."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fhe_estimators.backends import client as module
from fhe_estimators.backends.clear import ClearBackend
from fhe_estimators.backends.clear.client import ClearClient
from fhe_estimators.backends.client import RequestLog, RequestRecord
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    KeysRetiredError,
    RequestMismatchError,
)
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows

RNG = np.random.default_rng(0)
ENSEMBLE = random_ensemble(RNG)
QUANTIZER = ThresholdQuantizer(ENSEMBLE).fit()
CODES = QUANTIZER.transform(random_rows(RNG, 20))
BACKEND = ClearBackend()
PROGRAM = BACKEND.compile(BACKEND.quantize(ENSEMBLE, QUANTIZER), QUANTIZER)
EXPECTED = sum_leaves(PROGRAM.ensemble, CODES)
SERVER = BACKEND.evaluator(PROGRAM)


class SuspiciousClient(ClearClient):
    """Finds every response wrong while ``trusting`` is off."""

    trusting = True

    def _decrypt(self, secret, request, ciphertexts):
        if not self.trusting:
            raise DecryptionError("Nonsense was decrypted.")
        return super()._decrypt(secret, request, ciphertexts)


@pytest.fixture
def client():
    client = SuspiciousClient(PROGRAM.client_spec)
    client.generate_keys()
    return client


def test_a_refusal_retires_the_keys(client):
    saved = client.export_keys()
    request = client.encrypt(CODES)
    response = SERVER.run(request, client.evaluation_keys)
    client.trusting = False
    with pytest.raises(DecryptionError, match=r"Nonsense was decrypted\. This client's keys are retired.*new_session"):
        client.decrypt(response)
    client.trusting = True
    for call in (
        lambda: client.decrypt(response, request),
        lambda: client.encrypt(CODES),
        lambda: client.evaluation_keys,
        client.export_keys,
        lambda: client.import_keys(saved),
    ):
        with pytest.raises(KeysRetiredError, match="malicious server could read the secret key"):
            call()
    client.generate_keys()
    np.testing.assert_array_equal(client.decrypt(SERVER.run(client.encrypt(CODES), client.evaluation_keys)), EXPECTED)
    with pytest.raises(KeysRetiredError):  # and they stay retired
        client.import_keys(saved)


def test_a_refusal_does_not_invite_to_ask_again_under_the_same_keys(client):
    response = SERVER.run(client.encrypt(CODES), client.evaluation_keys)
    client.trusting = False
    with pytest.raises(DecryptionError) as refusal:
        client.decrypt(response)
    assert "Make fresh keys" in str(refusal.value)


def test_retired_keys_are_missing_keys():
    assert issubclass(KeysRetiredError, KeysMissingError)


def test_malformed_responses_cost_neither_the_keys_nor_the_answer(client):
    request = client.encrypt(CODES)
    response = SERVER.run(request, client.evaluation_keys)
    header, blobs = unpack_message("response", response)
    for damaged in (response[:-1], pack_message("response", header, [*blobs, b""]), b""):
        with pytest.raises(ValueError, match="response"):
            client.decrypt(damaged)
    np.testing.assert_array_equal(client.decrypt(response), EXPECTED)


def test_threads_pass_their_requests(client):
    def ask(row):
        request = client.encrypt(CODES[row : row + 1])
        return client.decrypt(SERVER.run(request, client.evaluation_keys), request)

    with ThreadPoolExecutor(4) as pool:
        sums = list(pool.map(ask, np.arange(200) % len(CODES)))
    np.testing.assert_array_equal(np.concatenate(sums), np.resize(EXPECTED, (200, EXPECTED.shape[1])))


def test_memory_is_bounded(client, monkeypatch):
    client._log = RequestLog(capacity=3)
    requests = [client.encrypt(CODES) for _ in range(10)]
    for request in requests:  # those that were forgotten are read from their bytes
        response = SERVER.run(request, client.evaluation_keys)
        np.testing.assert_array_equal(client.decrypt(response, request), EXPECTED)
    assert len(client._log._records) == len(client._log._responses) == 3
    assert module.REMEMBERED_REQUESTS == 1024


def test_only_one_of_two_racing_responses_is_claimed():
    record = RequestRecord("key", "request", {})
    log = RequestLog()
    log.claim(record, b"first")
    log.claim(record, b"first")
    with pytest.raises(RequestMismatchError, match="second, different"):
        log.claim(record, b"other")


def test_secrets_do_not_show(client):
    keys = client._require_keys()
    assert "mac_key" not in repr(keys) and repr(keys.mac_key) not in repr(keys)


def test_every_session_has_secrets_of_its_own(client):
    """Identifiers of keys, and the keys of authentication codes."""
    seen = []
    for _ in range(2):
        client.generate_keys()
        header, (mac_key, *_) = unpack_message("client_keys", client.export_keys())
        seen += [header["key_id"], bytes(mac_key).hex()]
    assert len(set(seen)) == 4
    assert all(len(set(text)) > 4 for text in seen)


def test_altered_requests_are_not_read(client):
    """By a client that has no record of its own, and goes by what the request says."""
    request = client.encrypt(CODES)
    response = SERVER.run(request, client.evaluation_keys)
    header, (blob,) = unpack_message("request", request)
    later = ClearClient(PROGRAM.client_spec)
    later.import_keys(client.export_keys())
    np.testing.assert_array_equal(later.decrypt(response, request), EXPECTED)
    altered = [({**header, name: None}, [blob]) for name in header if name not in ("program_id", "key_id")]
    altered += [({**header, "more": 1}, [blob]), (header, [bytes(len(blob))]), (header, [blob[:8], blob[8:]])]
    for fields, blobs in altered:
        with pytest.raises(KeyMismatchError, match="not made by a client with these keys"):
            later.decrypt(response, pack_message("request", fields, blobs))
