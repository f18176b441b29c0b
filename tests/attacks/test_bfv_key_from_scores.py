"""Adversary: a malicious server of the `bfv` engine that sees the predictions a client makes of its responses.

Goal: the secret key. A server adds ``(0, D X^-k)``, with D the scale of plaintexts, to an honest result: it decrypts to
the sum of the leaves and ``X^-k s``, without noise, and the other ciphertexts of the response keep the check. Clients
that added up all slots of a result would show a coefficient of ``s`` in a score that is in its range.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends.bfv.parameters import PLAIN_MODULUS
from fhe_estimators.backends.seal.file import SealFile
from fhe_estimators.exceptions import DecryptionError, KeysRetiredError
from tests.attacks.deployments import Target, blobs_of, response_to
from tests.attacks.seal_forgery import ciphertext_bytes


@pytest.fixture
def target():
    return Target("bfv")


def shifted(client, blob, k, factor=1):
    """A result plus ``(0, factor D X^-k)``."""
    context, degree = client.context, client.parameters.poly_modulus_degree
    modulus = context.seal_context.last_context_data().parms().coeff_modulus()[0].value()
    scale = round(modulus / PLAIN_MODULUS) * factor
    c_1 = np.zeros((1, degree), dtype=np.uint64)
    c_1[0, (degree - k) % degree] = scale if k == 0 else modulus - scale  # X^-k = -X^(N - k)
    added = ciphertext_bytes(
        SimpleNamespace(level_ids={0: context.last_id}), 0, [np.zeros_like(c_1), c_1], is_ntt_form=False
    )
    with SealFile() as file:
        result, more = (file.load(seal.Ciphertext(), context, data, "it") for data in (blob, added))
        seal.Evaluator(context.seal_context).add_inplace(result, more)
        return file.dump(result)


def plaintext(client, blob):
    """What a ciphertext decrypts to, coefficients: seen by the test, not by the attacker."""
    with SealFile() as file:
        ciphertext = file.load(seal.Ciphertext(), client.context, blob, "it")
    decryptor = seal.Decryptor(client.context.seal_context, client._require_keys().secret)
    assert decryptor.invariant_noise_budget(ciphertext) > 1, "noise does not give the forgery away"
    plain = seal.Plaintext()
    decryptor.decrypt(ciphertext, plain)
    return np.array(client.context.encoder.decode_uint64(plain), dtype=np.int64)


def test_the_forgery_is_real(target):
    """The sum of all slots changes by a coefficient of the key times their number."""
    client, n_rows = target.client, 1
    blob = blobs_of(target.server.run(target.ask(n_rows), target.keys))[0]
    degree, honest, found = client.parameters.poly_modulus_degree, plaintext(client, blob).sum(), set()
    for k in range(12):
        change = (plaintext(client, shifted(client, blob, k)).sum() - honest) * pow(degree, -1, PLAIN_MODULUS)
        found.add(int((change + 1) % PLAIN_MODULUS) - 1)
    assert found <= {-1, 0, 1} and len(found) > 1


@pytest.mark.parametrize("n_rows", [1, 3])
@pytest.mark.parametrize("k", [0, 5])
@pytest.mark.parametrize("which", [0, -1])
def test_the_first_forgery_ends_the_session(target, n_rows, k, which):
    request = target.ask(n_rows)
    blobs = blobs_of(target.server.run(request, target.keys))
    blobs[which] = shifted(target.client, blobs[which], k)
    with pytest.raises(DecryptionError, match="retired"):
        target.client.decrypt(response_to(request, blobs))
    with pytest.raises(KeysRetiredError):
        target.ask(1)


def test_results_of_another_request_are_refused_and_honest_ones_exact(target):
    first, second = target.ask(1), target.ask(2, start=5)
    answers = [target.server.run(request, target.keys) for request in (first, second)]
    np.testing.assert_array_equal(target.client.decrypt(answers[0], first), target.expected(1))
    np.testing.assert_array_equal(target.client.decrypt(answers[1], second), target.expected(2, start=5))
