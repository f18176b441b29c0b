"""Adversary: a client that sends ciphertexts that no encryption gives.

Goal: an exception that the service does not expect, so that its process answers with a crash.
"""

from contextlib import suppress

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.backends.seal.file import SealFile
from fhe_estimators.exceptions import ProtocolError
from tests.attacks.deployments import Target
from tests.attacks.seal_forgery import ciphertext_bytes


@pytest.fixture(scope="module")
def target():
    return Target("ckks", depth=5, n_trees=3)


def request_with(target, blobs, n_rows=3):
    header, _ = unpack_message("request", target.ask(n_rows))
    return pack_message("request", header, blobs)


def test_the_same_ciphertext_for_all_bits(target):
    """Differences of equal ciphertexts hide nothing, and SEAL refuses to compute them."""
    n_rows = 4096
    _, blobs = unpack_message("request", target.ask(n_rows))
    levels = [group.level for group in target.program.packing.groups(0)]
    request = request_with(target, [blobs[levels.index(level)] for level in levels], n_rows)
    with suppress(ProtocolError):  # or some response: it is the client's loss
        unpack_message("response", target.server.run(request, target.keys))


def test_transparent_ciphertexts(target):
    context, forged = target.client.context, []
    for group in target.program.packing.groups(target.program.parameters.expansion_log2):
        one = np.ones((context.parameters.n_primes(group.level), 2 * context.parameters.n_slots), dtype=np.uint64)
        forged.append(ciphertext_bytes(context, group.level, [one, 0 * one]))
    with pytest.raises(ProtocolError, match="what a client does not encrypt"):
        target.server.run(request_with(target, forged), target.keys)


def test_ciphertexts_of_another_form(target):
    with SealFile() as file:
        blob = file.dump(seal.Plaintext())
    _, blobs = unpack_message("request", target.ask(3))
    for wrong in (blob, b"", bytes(1000)):
        with pytest.raises(ProtocolError):
            target.server.run(request_with(target, [wrong] * len(blobs)), target.keys)
