"""Adversary: a malicious server of the `tfhe` engine that sees the predictions a client makes of its responses.

Goal: the secret key. A forged LWE ciphertext ``(a, b)`` with sparse ``a`` decrypts to a sum of key bits that the server
chose.

Scores of this engine have no redundancy but their range: a forgery within it cannot be told from a response. What is
left to a client is to decrypt one response a request, and to give its keys up as soon as a score is out of range.
"""

import numpy as np
import pytest

pytest.importorskip("concrete")

from fhe_estimators.exceptions import DecryptionError, KeysRetiredError, RequestMismatchError
from tests.attacks.deployments import Target, blobs_of, response_to

_WORD = np.dtype("<u8")


@pytest.fixture(scope="module")
def model():
    return Target("tfhe", n_trees=3, depth=2)


@pytest.fixture
def target(model):
    return model.with_keys()


def forgeries(target, request, amounts):
    """Ciphertexts without a body, in the shape of the response to a request of two rows.

    ``amounts``: what bits of the key add to the score, by their positions.
    """
    honest = blobs_of(target.server.run(request, target.keys))
    words, other = (np.frombuffer(blob, dtype=_WORD).copy() for blob in honest)
    content = np.flatnonzero(words != other)
    start, stop = content[0], content[-1] + 1
    words[start:stop] = 0
    for position, amount in amounts.items():
        words[start + position] = -amount * 2**64 // target.client._n_messages % 2**64
    return [words.tobytes()] * 2


def test_twelve_forgeries_one_decryption(target):
    """Each of them would tell two bits of the key; only the first is decrypted at all."""
    request = target.ask(2)
    shown = target.client.decrypt(response_to(request, forgeries(target, request, {0: 1, 1: 2})))
    assert 0 <= shown.min() == shown.max() <= 3  # the limit in the docstring: key bits, not a score
    for position in range(2, 24, 2):
        with pytest.raises(RequestMismatchError, match="second, different response"):
            target.client.decrypt(response_to(request, forgeries(target, request, {position: 1, position + 1: 2})))


def test_a_score_out_of_range_ends_the_session(target):
    too_much = int(target.program.ensemble.score_bounds()[1].max()) + 1
    request = target.ask(2)
    response = response_to(request, forgeries(target, request, dict.fromkeys(range(3), too_much)))
    # One of three bits is 1, or (with probability 1/8) the score is 0: then the forger tries the next ones.
    for first in range(3, 60, 3):
        if refuses(target.client, response):
            break
        request = target.ask(2)
        response = response_to(request, forgeries(target, request, dict.fromkeys(range(first, first + 3), too_much)))
    with pytest.raises(KeysRetiredError):
        target.ask(2)


def refuses(client, response):
    try:
        client.decrypt(response)
    except DecryptionError as error:
        return "outside what the model can give" in str(error)
    return False
