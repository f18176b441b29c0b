"""Adversary: a server (or a queue, a proxy, a bug) that answers with a response to something else.

Goal: a client that takes scores of other rows, or of another model, for those it asked for.
"""

import numpy as np
import pytest

from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.exceptions import DecryptionError, KeyMismatchError, ProtocolError, RequestMismatchError
from tests.attacks.deployments import ENGINES, Target, blobs_of, response_to


@pytest.fixture(scope="module", params=ENGINES)
def model(request):
    return Target(request.param, n_trees=3)


@pytest.fixture
def target(model):
    """With keys: fresh ones if the test before lost them."""
    return model.with_keys()


def test_three_rows_asked_four_rows_answered(target):
    of_four = target.server.run(target.ask(4), target.keys)
    request = target.ask(3)
    with pytest.raises(RequestMismatchError, match="another request"):
        target.client.decrypt(of_four)
    with pytest.raises((ProtocolError, DecryptionError)):  # nor under the right name
        target.client.decrypt(response_to(request, blobs_of(of_four)))


def test_six_rows_asked_five_rows_answered(target):
    of_five = target.server.run(target.ask(5), target.keys)
    request = target.ask(6)
    with pytest.raises((ProtocolError, DecryptionError)):
        target.client.decrypt(response_to(request, blobs_of(of_five)))


def test_an_earlier_response_to_the_same_rows_is_no_answer(target):
    earlier = target.server.run(target.ask(2), target.keys)
    request = target.ask(2)
    with pytest.raises(RequestMismatchError, match="another request"):
        target.client.decrypt(earlier)
    np.testing.assert_array_equal(target.client.decrypt(target.server.run(request, target.keys)), target.expected(2))


def test_the_response_of_another_model(target):
    other = Target(target.backend.name, seed=1)
    target.ask(2)
    theirs = other.server.run(other.ask(2), other.keys)
    with pytest.raises(KeyMismatchError, match="another model"):
        target.client.decrypt(theirs)


def test_a_response_under_other_keys_with_the_right_names(target):
    if target.backend.name == "clear":
        return  # has no keys
    request, stranger = target.ask(2), target.backend.client(target.program.client_spec)
    keys = stranger.generate_keys()
    theirs = target.server.run(stranger.encrypt(target.codes[:2]), keys)
    with pytest.raises(DecryptionError, match="retired"):
        target.client.decrypt(response_to(request, blobs_of(theirs)))


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: [*b, b[-1]], lambda b: [], lambda b: [b""] * len(b)])
def test_more_or_fewer_ciphertexts(target, change):
    request = target.ask(3)
    blobs = blobs_of(target.server.run(request, target.keys))
    with pytest.raises(ProtocolError):
        target.client.decrypt(response_to(request, change(blobs)))


def test_what_the_response_says_of_its_shape_is_not_read(target):
    request = target.ask(3)
    blobs = blobs_of(target.server.run(request, target.keys))
    lies = {"n_rows": 1, "batches": [[1, 0]], "constants": [5], "n_scores": 1}
    np.testing.assert_array_equal(target.client.decrypt(response_to(request, blobs, **lies)), target.expected(3))


def test_ciphertexts_of_a_request_are_no_response(target):
    request = target.ask(1)
    _, blobs = unpack_message("request", request)
    with pytest.raises((ProtocolError, DecryptionError)):
        target.client.decrypt(response_to(request, blobs[:1]))


def test_a_request_from_storage_that_claims_another_shape(target):
    """The server hands out the bytes of a request again, with fewer rows."""
    target.ask(3)
    request = target.ask(2)
    response = target.server.run(request, target.keys)
    header, blobs = unpack_message("request", request)
    later = target.backend.client(target.program.client_spec)
    later.import_keys(target.client.export_keys())
    for lie in ({"n_rows": 1}, {"batches": [[1, 0]]}, {"request_id": "0" * 32}, {"mac": "0" * 64}, {"mac": 5}):
        with pytest.raises(KeyMismatchError, match="not made by a client with these keys"):
            later.decrypt(response, pack_message("request", {**header, **lie}, blobs))


class TestBatches:
    """Responses of the `ckks` engine to a full and a part batch."""

    N_ROWS = 4096 + 100

    @pytest.fixture
    def asked(self):
        target = Target("ckks", n_scores=2)
        request = target.ask(self.N_ROWS)
        return target, request, blobs_of(target.server.run(request, target.keys))

    def test_honest(self, asked):
        target, request, blobs = asked
        assert len(blobs) == 4
        np.testing.assert_array_equal(target.client.decrypt(response_to(request, blobs)), target.expected(self.N_ROWS))

    @pytest.mark.parametrize("order", [[2, 3, 0, 1], [0, 1, 0, 1]], ids=["swapped", "repeated"])
    def test_batches_of_other_rows(self, asked, order):
        """The copies of rows that fill a batch give it away."""
        target, request, blobs = asked
        with pytest.raises(DecryptionError, match=r"other rows|no sum of leaves"):
            target.client.decrypt(response_to(request, [blobs[i] for i in order]))

    def test_what_is_not_promised(self, asked):
        """A server can compute something else on the right rows: two scores that changed places are not noticed."""
        target, request, blobs = asked
        wrong = target.client.decrypt(response_to(request, [blobs[i] for i in (1, 0, 3, 2)]))
        np.testing.assert_array_equal(wrong, target.expected(self.N_ROWS)[:, ::-1])
