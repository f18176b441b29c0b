"""Checks of what engines refuse: other keys, other models, other requests, and damaged messages."""

from __future__ import annotations

import pickle

import numpy as np

from ...backends import Backend
from ...backends.messages import Blob, pack_message, unpack_message
from ...exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    ProtocolError,
    RequestMismatchError,
)
from ._deployment import Deployment, refusal


def check_keys(backend: Backend, n_samples: int) -> None:
    """Clients without keys say so; keys of others are refused; a client is never pickled."""
    deployed = Deployment(backend, n_samples)
    fresh, codes = backend.client(deployed.program.client_spec), deployed.codes[:3]
    calls = [lambda: fresh.encrypt(codes), lambda: fresh.evaluation_keys, fresh.export_keys, lambda: fresh.decrypt(b"")]
    for call in calls:
        with refusal(KeysMissingError, "generate_keys", "A client without keys"):
            call()
    request, response = deployed.exchange(codes)
    with refusal(KeyMismatchError, "other keys", "A request with other evaluation keys"):
        deployed.evaluator.run(request, fresh.generate_keys())
    for asked in (None, request):
        with refusal(KeyMismatchError, "other keys", "The response to another client"):
            fresh.decrypt(response, asked)
    with refusal(TypeError, "secret key", "Pickling of a client"):
        pickle.dumps(fresh)


def check_exported_keys(backend: Backend, n_samples: int) -> None:
    """A client that takes over keys decrypts what the first one asked; damaged or foreign keys are refused."""
    deployed = Deployment(backend, n_samples)
    codes = deployed.codes[:3]
    request, response = deployed.exchange(codes)
    keys, later = deployed.client.export_keys(), backend.client(deployed.program.client_spec)
    later.import_keys(keys)
    with refusal(RequestMismatchError, "pass the request", "A response without its request"):
        later.decrypt(response)
    np.testing.assert_array_equal(later.decrypt(response, request), deployed.expected(codes))
    for evaluation_keys in (deployed.client.evaluation_keys, later.evaluation_keys):
        answered = deployed.evaluator.run(later.encrypt(codes), evaluation_keys)
        np.testing.assert_array_equal(later.decrypt(answered), deployed.expected(codes))
    other = Deployment(backend, n_samples, seed=1)
    with refusal(KeyMismatchError, "another model", "Keys of another model"):
        other.client.import_keys(keys)
    for damaged, match in ((keys[:-5], "truncated"), (deployed.client.evaluation_keys, "kind")):
        with refusal(ProtocolError, match, "Damaged keys"):
            later.import_keys(damaged)
    header, blobs = unpack_message("client_keys", keys)
    secrets = [b"garbage"] * (len(blobs) - 1)
    mac_key = bytes(blobs[0])
    wrong_keys = [[], [b"short"], [mac_key, *secrets, b"more"], [mac_key, *secrets]]
    for wrong in wrong_keys if secrets else wrong_keys[:3]:
        with refusal(ProtocolError, "", "Keys that are none"):
            later.import_keys(pack_message("client_keys", header, list[Blob](wrong)))


def check_identities(backend: Backend, n_samples: int) -> None:
    """Requests for another model are refused; a response names its request and says nothing of its shape."""
    deployed, other = Deployment(backend, n_samples), Deployment(backend, n_samples, seed=1)
    keys = other.client.generate_keys()
    with refusal(KeyMismatchError, "another model", "A request for another model"):
        deployed.evaluator.run(other.client.encrypt(other.codes[:3]), keys)
    request, response = deployed.exchange(deployed.codes[:2])
    header, sent = unpack_message("response", response)[0], unpack_message("request", request)[0]
    assert header == {name: sent[name] for name in ("program_id", "key_id", "request_id")}, (
        "The response says more than which request it answers."
    )
    again = unpack_message("request", deployed.client.encrypt(deployed.codes[:1]))[0]
    assert again["request_id"] != sent["request_id"], "Two requests have the same id."


def check_damaged_messages(backend: Backend, n_samples: int) -> None:
    """Truncated, altered, empty and foreign messages are a `ProtocolError` that names the message."""
    deployed = Deployment(backend, n_samples)
    request, response = deployed.exchange(deployed.codes[:3])
    keys = deployed.client.evaluation_keys
    for damage in (_truncated, _flipped, lambda message: b"", lambda message: b"PK\x03\x04" + message[4:]):
        with refusal(ProtocolError, "request", "A damaged request"):
            deployed.evaluator.run(damage(request), keys)
        with refusal(ProtocolError, "evaluation_keys", "Damaged evaluation keys"):
            deployed.evaluator.run(request, damage(keys))
        with refusal(ProtocolError, "response", "A damaged response"):
            deployed.client.decrypt(damage(response))
    with refusal(ProtocolError, "kind", "A response in the place of a request"):
        deployed.evaluator.run(response, keys)


def check_responses(backend: Backend, n_samples: int) -> None:
    """A response answers its own request, once; others are refused, and so are requests that were tampered with."""
    deployed = Deployment(backend, n_samples)
    client, codes = deployed.client, deployed.codes
    keys = client.generate_keys()
    first, second = client.encrypt(codes[:1]), client.encrypt(codes[1:3])
    of_first, of_second = (deployed.evaluator.run(request, keys) for request in (first, second))
    with refusal(RequestMismatchError, "another request", "The response to an earlier request"):
        client.decrypt(of_first)
    with refusal(RequestMismatchError, "another request", "The response to a later request"):
        client.decrypt(of_second, first)
    np.testing.assert_array_equal(client.decrypt(of_first, first), deployed.expected(codes[:1]))
    np.testing.assert_array_equal(client.decrypt(of_second), deployed.expected(codes[1:3]))
    of_third = deployed.evaluator.run(client.encrypt(codes[1:2]), keys)
    with refusal(RequestMismatchError, "second, different response", "A second response to a request"):
        client.decrypt(disguised(of_third, first), first)
    header, blobs = unpack_message("request", second)
    later = backend.client(deployed.program.client_spec)
    later.import_keys(client.export_keys())
    more: list[Blob] = [*blobs, b""]
    for fields, ciphertexts in (({**header, "n_rows": 1}, list[Blob](blobs)), (header, more)):
        with refusal(KeyMismatchError, "not made by a client with these keys", "A request that was tampered with"):
            later.decrypt(of_second, pack_message("request", fields, ciphertexts))


def check_responses_to_more_rows(backend: Backend, n_samples: int) -> None:
    """The response to a request of more rows, under the name of another request, is refused."""
    deployed = Deployment(backend, n_samples)
    keys = deployed.client.generate_keys()
    of_more = deployed.evaluator.run(deployed.client.encrypt(deployed.codes[:3]), keys)
    request = deployed.client.encrypt(deployed.codes[:2])
    with refusal((ProtocolError, DecryptionError), "", "The response to more rows"):
        deployed.client.decrypt(disguised(of_more, request))


def check_rerandomization(backend: Backend, n_samples: int) -> None:
    """An engine that cannot hide how it computed says so when it is asked to."""
    deployed = Deployment(backend, n_samples)
    described = deployed.program.describe()
    if described["can_rerandomize"]:
        evaluator = backend.evaluator(deployed.program, rerandomize=True)
        keys = deployed.client.generate_keys()
        sums = deployed.client.decrypt(evaluator.run(deployed.client.encrypt(deployed.codes[:3]), keys))
        np.testing.assert_array_equal(sums, deployed.expected(deployed.codes[:3]), "rerandomized sums are not exact")
        return
    assert described["flooding_bits"] == 0, "flooding_bits without rerandomization"
    with refusal(ValueError, "rerandomize", "rerandomize=True"):
        backend.evaluator(deployed.program, rerandomize=True)


def disguised(response: bytes, request: bytes) -> bytes:
    """A response that claims to answer another request: what a forger can write."""
    _, blobs = unpack_message("response", response)
    header, _ = unpack_message("request", request)
    return pack_message("response", {name: header[name] for name in ("program_id", "key_id", "request_id")}, blobs)


def _truncated(message: bytes) -> bytes:
    return message[: len(message) * 2 // 3]


def _flipped(message: bytes) -> bytes:
    middle = len(message) // 2
    return message[:middle] + bytes([message[middle] ^ 4]) + message[middle + 1 :]
