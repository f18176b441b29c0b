"""Adversary: a malicious server of the `ckks` engine that sees the predictions a client makes of its responses.

Goal: the secret key. A forged ciphertext ``(0, c_1)`` decrypts to ``c_1 s``; the server chooses ``c_1`` so that the
decoded integers show coefficients of ``s``, asks for as many decryptions as it needs, and reads old requests.

Clients of version 1 of the formats lost the whole key in 683 responses: they took the layout from the response, and
with the largest expansion decoding was the mean over all slots, the constant coefficient of ``c_1 s``.
"""

import dataclasses
from contextlib import suppress

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends.ckks.circuit.packing import server_automorphisms
from fhe_estimators.backends.ckks.circuit.redundancy import rows_from_slots
from fhe_estimators.backends.ckks.circuit.slots import row_places
from fhe_estimators.backends.ckks.parameters import MAX_EXPANSION_LOG2
from fhe_estimators.backends.seal.file import SealFile
from fhe_estimators.exceptions import DecryptionError, KeysRetiredError, ProtocolError
from tests.attacks.deployments import Target, blobs_of, response_to
from tests.attacks.seal_forgery import ciphertext_bytes, coefficients_of, monomials, residues, slots_of

#: Key coefficients that one integer of 20 bits shows.
DIGITS = 12
#: Expansion and rows of batches, for N = 8192: full and not, up to one row.
BATCHES = [(0, 4096), (0, 4000), (1, 1792), (3, 448), (3, 300), (7, 28), (7, 1)]


@pytest.fixture
def target():
    return Target("ckks")


def output_scale(client):
    return client.context.bit_scale(1) ** 2 * (2 if client.packing.uses_pairs else 1)


def forged(client, coefficients):
    """A ciphertext ``(0, c_1)`` with ``c_1`` the output scale times a polynomial."""
    c_1 = residues(client.context, 1, coefficients, output_scale(client))
    return ciphertext_bytes(client.context, 1, [np.zeros_like(c_1), c_1])


def key_reader(degree, first=0):
    """``sum 3 ** p X ** -(first + p)``: the constant coefficient of its product with ``s`` is ``sum 3 ** p s_p``."""
    return monomials(degree, [(2 * degree - first - p, 3**p) for p in range(DIGITS)])


def loaded(client, blob):
    with SealFile() as file:
        return file.load(seal.Ciphertext(), client.context, blob, "forgery")


def decrypted_slots(client, blob):
    """What a ciphertext decrypts to: seen by the test, not by the attacker."""
    ciphertext = loaded(client, blob)
    ciphertext.scale = output_scale(client)
    decryptor = seal.Decryptor(client.context.seal_context, client._require_keys().secret)
    return client._decrypt_slots(decryptor, seal.CKKSEncoder(client.context.seal_context), ciphertext)


def test_the_forgery_is_real(target):
    """To a decoder that lets the server choose the layout it shows the key."""
    client, degree = target.client, target.client.parameters.poly_modulus_degree
    secret = np.rint(coefficients_of(decrypted_slots(client, forged(client, monomials(degree, [(0, 1)])))))
    assert set(secret) == {-1, 0, 1}
    for first in (0, DIGITS):
        slots = decrypted_slots(client, forged(client, key_reader(degree, first)))
        shown = sum(3**p * secret[first + p] for p in range(DIGITS))
        assert abs(slots.real.mean() - shown) < 1e-3
        for expansion in range(13):
            with pytest.raises(DecryptionError, match="no sum of leaves"):
                rows_from_slots(slots, 1, expansion, client.parameters.score_bits)


@pytest.mark.parametrize("n_rows", [1, 3, 200, 4096, 5000])
def test_the_first_forgery_ends_the_session(target, n_rows):
    client, degree = target.client, target.client.parameters.poly_modulus_degree
    request = target.ask(n_rows)
    n_blobs = len(blobs_of(target.server.run(request, target.keys)))
    with pytest.raises(DecryptionError, match="Make fresh keys"):
        client.decrypt(response_to(request, [forged(client, key_reader(degree))] * n_blobs))
    for first in range(DIGITS, 5 * DIGITS, DIGITS):
        with pytest.raises(KeysRetiredError):
            client.decrypt(response_to(request, [forged(client, key_reader(degree, first))] * n_blobs))
    with pytest.raises(KeysRetiredError):
        target.ask(n_rows)


def test_the_server_does_not_choose_the_layout(target):
    client, degree = target.client, target.client.parameters.poly_modulus_degree
    request = target.ask(3)
    header, blobs = {"batches": [[1, 12]], "constants": [None], "n_rows": 1}, [forged(client, key_reader(degree))]
    response = response_to(request, blobs, **header)
    with pytest.raises(DecryptionError):
        client.decrypt(response)


def test_an_honest_response_does_not_hide_a_forgery(target):
    client, degree = target.client, target.client.parameters.poly_modulus_degree
    request = target.ask(3)
    (honest,) = blobs_of(target.server.run(request, target.keys))
    total, term = loaded(client, honest), loaded(client, forged(client, key_reader(degree)))
    total.scale = term.scale = output_scale(client)
    seal.Evaluator(client.context.seal_context).add_inplace(total, term)
    with SealFile() as file, pytest.raises(DecryptionError, match="no sum of leaves"):
        client.decrypt(response_to(request, [file.dump(total)]))


def odds(expansion, n_rows, evaluated, tries=200):
    """Part of forgeries for one row that are accepted with another score, over fresh keys and six sizes.

    ``c_1`` is zero but in the slots of one row, which then shows a value of ``s``; with ``evaluated``, after the server
    has made the copies equal and the imaginary parts zero by means of the evaluation keys.
    """
    rng, degree = np.random.default_rng(0), 8192
    row_of = row_places(degree, expansion)
    unnoticed = 0
    for size in (0.3, 0.6, 0.9, 1.2, 2.0, 4.0):
        for _ in range(tries):
            secret = slots_of(rng.integers(-1, 2, degree).astype(float)) / np.sqrt(2 * degree / 3)
            slots = np.zeros((2**expansion, degree >> (expansion + 1)), dtype=complex)
            place = row_of[rng.integers(n_rows)]
            values = 2 ** (expansion / 2) * secret.reshape(slots.shape)[:, place]
            slots[:, place] = size * (2**0.5 * values.mean().real if evaluated else values)
            with suppress(DecryptionError):
                unnoticed += rows_from_slots(slots.ravel(), n_rows, expansion, 20)[1].any()
    return unnoticed / (6 * tries)


@pytest.mark.parametrize(("expansion", "n_rows"), BATCHES)
def test_a_forgery_for_one_row_is_a_bet_that_the_server_loses(expansion, n_rows):
    assert odds(expansion, n_rows, evaluated=False) <= {0: 0.04, 1: 0.01}.get(expansion, 0.002)


@pytest.mark.parametrize(("expansion", "n_rows"), [batch for batch in BATCHES if batch[0]])
def test_evaluation_keys_raise_the_stakes_not_the_odds(expansion, n_rows):
    """Of a real value of unknown size, the part that is near an integer is accepted: never much more than 3/8."""
    most = 0 if n_rows < len(row_places(8192, expansion)) // 2 else 0.38  # rows that have copies give it away
    assert odds(expansion, n_rows, evaluated=True) <= most


@pytest.mark.parametrize("uses_pairs", [False, True])
def test_the_server_has_no_keys_for_a_trace(uses_pairs):
    """With the whole Galois group a server could sum conjugates up to one coefficient of the key, an integer."""
    degree = 4096
    group = {1}
    for element in server_automorphisms(degree, MAX_EXPANSION_LOG2, uses_pairs=uses_pairs):
        while len(group) < len(larger := group | {x * element % (2 * degree) for x in group}):
            group = larger
    assert degree // len(group) >= 16


def test_a_client_makes_no_other_keys(target):
    spec = target.program.client_spec
    elements = [*spec.metadata["galois_elements"], 3]
    with pytest.raises(ProtocolError, match="other automorphisms"):
        target.backend.client(dataclasses.replace(spec, metadata={**spec.metadata, "galois_elements": elements}))


def malformed(context, fault):
    """A ciphertext of ones, but for its fault."""
    one = np.ones((context.parameters.n_primes(1), context.parameters.poly_modulus_degree), dtype=np.uint64)
    if fault == "level":
        one = np.ones((context.parameters.n_primes(2), context.parameters.poly_modulus_degree), dtype=np.uint64)
        return ciphertext_bytes(context, 2, [one, one])
    second = {"transparent": 0 * one, "not reduced": one << np.uint64(63)}.get(fault, one)
    polynomials = [one] * 3 if fault == "size" else [one, second]
    blob = ciphertext_bytes(context, 1, polynomials, is_ntt_form=fault != "not in NTT form")
    return blob[:-8] if fault == "truncated" else blob


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("level", "another size or level"),
        ("size", "another size or level"),
        ("transparent", "none that an evaluation gives"),
        ("not in NTT form", "none that an evaluation gives"),
        ("not reduced", "data is invalid"),
        ("truncated", "exceeds available input"),
    ],
)
def test_malformed_ciphertexts_are_refused_before_they_are_decrypted(target, fault, complaint):
    client = target.client
    request = target.ask(3)
    response = target.server.run(request, target.keys)
    loaded(client, malformed(client.context, "none"))  # a control: without a fault it is read
    with pytest.raises(ProtocolError, match=complaint):
        client.decrypt(response_to(request, [malformed(client.context, fault)]))
    np.testing.assert_array_equal(client.decrypt(response), target.expected(3))  # they cost nothing


def test_a_scale_of_the_servers_choice_changes_nothing(target):
    request = target.ask(3)
    (honest,) = blobs_of(target.server.run(request, target.keys))
    ciphertext = loaded(target.client, honest)
    ciphertext.scale = output_scale(target.client) / 2
    with SealFile() as file:
        response = response_to(request, [file.dump(ciphertext)])
    np.testing.assert_array_equal(target.client.decrypt(response), target.expected(3))
