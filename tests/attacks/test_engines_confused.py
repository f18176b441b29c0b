"""Adversary: a server that answers a request for one engine with what belongs to the other, or with other keys.

Goal: a client of two engines that takes such a response for its own, or goes on under keys that gave something away.
"""

import numpy as np
import pytest

from fhe_estimators.backends import resolve_backend
from fhe_estimators.backends.auto.bundles import pack_bundle, unpack_bundle
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    KeysRetiredError,
    ProtocolError,
    RequestMismatchError,
)
from tests.attacks.deployments import Target, blobs_of, response_to


@pytest.fixture(scope="module")
def model():
    return Target("auto", n_trees=8)


@pytest.fixture
def target(model):
    """With keys of both engines: fresh ones if the test before lost them."""
    if model.program.choice.engines != ("bfv", "ckks"):
        pytest.fail("the model must use both engines")
    model.keys = model.client.generate_keys()
    return model


def asked(target, engine, n_rows=3):
    return target.client.encrypt(target.codes[:n_rows], backend=engine)


@pytest.mark.parametrize(("engine", "other"), [("bfv", "ckks"), ("ckks", "bfv")])
def test_responses_of_the_other_engine_are_refused(engine, other, target):
    first, last = asked(target, other), asked(target, engine)
    of_other = target.server.run(first, target.keys)
    with pytest.raises(RequestMismatchError, match=f"it is one of '{other}', and the request of '{engine}'"):
        target.client.decrypt(of_other)
    with pytest.raises(RequestMismatchError, match="the request that was passed"):
        target.client.decrypt(of_other, last)
    with pytest.raises((ProtocolError, DecryptionError)):  # nor under the right names
        target.client.decrypt(response_to(last, blobs_of(of_other)))
    if target.client._session.has_any:
        np.testing.assert_array_equal(target.client.decrypt(of_other, first), target.expected(3))


@pytest.mark.parametrize(("engine", "other"), [("bfv", "ckks"), ("ckks", "bfv")])
def test_requests_under_the_other_engines_name_are_refused(engine, other, target):
    header, blobs = unpack_message("request", asked(target, engine))
    names = unpack_message("request", asked(target, other))[0]
    for renamed in ("program_id", "key_id"):
        with pytest.raises(ProtocolError):
            target.server.run(pack_message("request", {**header, renamed: names[renamed]}, blobs), target.keys)
    with pytest.raises(ProtocolError):
        target.server.run(
            pack_message("request", {**header, **{n: names[n] for n in ("program_id", "key_id")}}, blobs), target.keys
        )


def test_keys_of_one_engine_serve_only_its_requests(target):
    program_id, engines = target.program.program_id, target.program.programs
    key_id, by_engine = unpack_bundle("evaluation_keys", target.keys, program_id, engines)
    identity = {"program_id": program_id, "key_id": key_id}
    only_bfv = pack_bundle("evaluation_keys", identity, {"bfv": by_engine["bfv"]})
    target.server.run(asked(target, "bfv"), only_bfv)
    with pytest.raises(KeyMismatchError, match="send the client's evaluation_keys as they are now"):
        target.server.run(asked(target, "ckks"), only_bfv)
    swapped = pack_bundle("evaluation_keys", identity, {"bfv": by_engine["ckks"], "ckks": by_engine["bfv"]})
    for engine in engines:
        with pytest.raises(ProtocolError):
            target.server.run(asked(target, engine), swapped)
        with pytest.raises(ProtocolError):  # keys of an engine are no keys of the program
            target.server.run(asked(target, engine), by_engine[engine])


def test_malformed_bundles_are_refused(target):
    header, blobs = unpack_message("evaluation_keys", target.keys)
    request = asked(target, "bfv")
    for engines, parts in (
        (None, blobs),
        ([], []),
        (["bfv"], blobs),
        (["bfv", "bfv"], blobs),
        (["bfv", "clear"], blobs),
        ([["bfv"], "ckks"], blobs),
        (["bfv", "ckks"], blobs[:1]),
    ):
        with pytest.raises(ProtocolError, match="malformed"):
            target.server.run(request, pack_message("evaluation_keys", {**header, "engines": engines}, parts))
    with pytest.raises(ProtocolError, match="no valid key_id"):
        target.server.run(request, pack_message("evaluation_keys", {**header, "key_id": "x"}, blobs))


@pytest.mark.parametrize("engine", ["bfv", "ckks"])
def test_a_refusal_retires_the_keys_of_both_engines(engine, target):
    saved = target.client.export_keys()
    stranger = target.backend.client(target.program.client_spec)
    keys = stranger.generate_keys()
    forged = blobs_of(target.server.run(stranger.encrypt(target.codes[:3], backend=engine), keys))
    request = asked(target, engine)
    with pytest.raises(DecryptionError, match="retired"):
        target.client.decrypt(response_to(request, forged))
    for other in ("bfv", "ckks", None):
        with pytest.raises(KeysRetiredError):
            target.client.encrypt(target.codes[:1], backend=other)
    with pytest.raises(KeysRetiredError):
        target.client.import_keys(saved)
    for half in target.client._clients.values():
        with pytest.raises(KeysMissingError):
            half.encrypt(target.codes[:1])


def test_a_new_session_ends_the_earlier_one(target):
    request = asked(target, "ckks")
    response = target.server.run(request, target.keys)
    target.client.generate_keys(backend="bfv")
    with pytest.raises(KeyMismatchError, match="other keys"):
        target.client.decrypt(response, request)
    with pytest.raises(KeysMissingError, match=r"generate_keys\(backend='ckks'\)"):
        asked(target, "ckks")
    many = target.client.encrypt(target.codes[:500])  # by the only engine that there are keys for
    sums = target.client.decrypt(target.server.run(many, target.client.evaluation_keys))
    np.testing.assert_array_equal(sums, target.expected(500))
    with pytest.raises(ValueError, match="use one of"):
        target.client.generate_keys(backend="tfhe")


def test_keys_travel_whole_or_not_at_all(target):
    saved, later = target.client.export_keys(), resolve_backend("auto").client(target.program.client_spec)
    later.import_keys(saved)
    for engine in ("bfv", "ckks"):
        request = asked(target, engine)
        sums = later.decrypt(target.server.run(request, later.evaluation_keys), request)
        np.testing.assert_array_equal(sums, target.expected(3))
    header, blobs = unpack_message("client_keys", saved)
    with pytest.raises(ProtocolError):
        later.import_keys(pack_message("client_keys", header, [blobs[0], b"garbage"]))
    request = later.encrypt(target.codes[:2])  # the earlier keys are still there
    np.testing.assert_array_equal(later.decrypt(target.server.run(request, target.keys)), target.expected(2))
