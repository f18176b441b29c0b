"""Keys of both engines on SEAL: what a server misses is an error before anything is computed; keys are read once."""

import pickle

import numpy as np
import pytest

from fhe_estimators.backends.key_cache import KeyCache
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import KeyMismatchError, ProtocolError
from tests.attacks.deployments import Target


@pytest.fixture(params=["bfv", "ckks"])
def target(request):
    return Target(request.param)


def test_keys_that_lack_an_automorphism_are_refused(target):
    whole = target.client.galois_elements
    assert whole, "the program rotates"
    target.client.galois_elements = whole[:-1]
    keys = target.client.generate_keys()
    with pytest.raises(ProtocolError, match="lack Galois keys"):
        target.server.run(target.ask(1), keys)
    target.client.galois_elements = whole
    keys = target.client.generate_keys()
    response = target.server.run(target.ask(1), keys)
    np.testing.assert_array_equal(target.client.decrypt(response), target.expected(1))


def test_more_or_fewer_keys_and_those_of_another_program_are_refused(target):
    request, (header, blobs) = target.ask(1), unpack_message("evaluation_keys", target.keys)
    for changed in (blobs[:-1], [*blobs, blobs[0]], []):
        with pytest.raises(ProtocolError, match="evaluation_keys are malformed"):
            target.server.run(request, pack_message("evaluation_keys", header, changed))
    with pytest.raises(KeyMismatchError, match="another model"):
        target.server.run(request, pack_message("evaluation_keys", {**header, "program_id": "0" * 64}, blobs))


def test_keys_are_read_once():
    seen = []
    cache = KeyCache(lambda message: seen.append(message) or len(message))
    assert [cache(b"one"), cache(b"one"), cache(b"other"), cache(b"one")] == [3, 3, 5, 3]
    assert seen == [b"one", b"other", b"one"]


def test_a_pickled_cache_reads_them_again():
    cache = KeyCache(bytes.upper)
    cache(b"secret?")
    assert b"SECRET" not in pickle.dumps(cache) and pickle.loads(pickle.dumps(cache))(b"a") == b"A"
