"""Ciphertexts that client and server refuse, and decrypted sums that cost a client its keys."""

from types import SimpleNamespace

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends import ClientSpec
from fhe_estimators.backends.bfv.parameters import PLAIN_MODULUS
from fhe_estimators.backends.messages import pack_message, unpack_message
from fhe_estimators.backends.seal.file import SealFile
from fhe_estimators.exceptions import DecryptionError, ProtocolError
from tests.attacks.deployments import Target, blobs_of, response_to
from tests.attacks.seal_forgery import ciphertext_bytes

#: A whole batch: there is no room for copies of rows, which would give most forgeries away.
N_ROWS = 4


@pytest.fixture(scope="module")
def model():
    return Target("bfv", n_trees=3)


@pytest.fixture
def target(model):
    return model.with_keys()


@pytest.fixture
def asked(target):
    """A request, and the ciphertexts of its response: a sum for each output, and a last one that is 1."""
    request = target.ask(N_ROWS)
    assert target.client._layout(N_ROWS).n_samples == N_ROWS
    return request, blobs_of(target.server.run(request, target.keys))


def handmade(client, second=1, **options):
    """A ciphertext of ones at the level of results."""
    ones = np.ones((1, client.parameters.poly_modulus_degree), dtype=np.uint64)
    levels = SimpleNamespace(level_ids={0: client.context.last_id})
    return ciphertext_bytes(levels, 0, [ones, ones * np.uint64(second)], **{"is_ntt_form": False, **options})


def malformed(target, fault, request, blobs):
    client = target.client
    if fault == "level":
        with SealFile() as file:  # with its seed expanded
            return file.dump(
                file.load(seal.Ciphertext(), client.context, unpack_message("request", request)[1][0], "it")
            )
    if fault == "size":
        product = seal.Ciphertext()
        with SealFile() as file:
            honest = file.load(seal.Ciphertext(), client.context, blobs[0], "it")
            seal.Evaluator(client.context.seal_context).multiply(honest, honest, product)
            return file.dump(product)
    return handmade(client, second=0) if fault == "transparent" else handmade(client, is_ntt_form=True)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("level", "another size or level"),
        ("size", "another size or level"),
        ("in NTT form", "another size or level"),
        ("transparent", "encrypts nothing"),
    ],
)
def test_malformed_ciphertexts_are_refused_before_they_are_decrypted(target, asked, fault, complaint):
    request, blobs = asked
    forged = [malformed(target, fault, request, blobs), *blobs[1:]]
    with pytest.raises(ProtocolError, match=complaint):
        target.client.decrypt(response_to(request, forged))
    np.testing.assert_array_equal(target.client.decrypt(response_to(request, blobs)), target.expected(N_ROWS))


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: [*b, b[-1]], lambda b: []])
def test_more_or_fewer_ciphertexts(target, asked, change):
    request, blobs = asked
    with pytest.raises(ProtocolError, match="ciphertexts"):
        target.client.decrypt(response_to(request, change(blobs)))


def test_sums_of_indicators_that_are_not_one_cost_the_keys(target, asked):
    request, blobs = asked
    with pytest.raises(DecryptionError, match=r"no sum of leaves.*retired"):
        target.client.decrypt(response_to(request, [*blobs[:-1], blobs[0]]))


def test_noise_that_no_evaluation_leaves_costs_the_keys(target, asked):
    """The last ciphertext is honest, so that nothing but the noise gives the first one away."""
    request, blobs = asked
    context, noisy = target.client.context, seal.Ciphertext()
    slots = np.random.default_rng(0).integers(0, 65537, target.client.parameters.poly_modulus_degree)
    with SealFile() as file:
        honest = file.load(seal.Ciphertext(), context, blobs[0], "it")
        seal.Evaluator(context.seal_context).multiply_plain(honest, context.encode(slots), noisy)
        forged = file.dump(noisy)
    with pytest.raises(DecryptionError, match=r"no sum of leaves.*retired"):
        target.client.decrypt(response_to(request, [forged, *blobs[1:]]))


def test_a_server_refuses_ciphertexts_of_another_level(target, asked):
    request, blobs = asked
    header, _ = unpack_message("request", request)
    with pytest.raises(ProtocolError, match="another size or level"):
        target.server.run(pack_message("request", header, blobs[:1]), target.keys)


def test_copies_of_a_row_with_another_sum_cost_the_keys(target):
    request = target.ask(N_ROWS - 1)
    first, *others = blobs_of(target.server.run(request, target.keys))
    context, layout = target.client.context, target.client._layout(N_ROWS - 1)
    slots = np.zeros(layout.degree, dtype=np.int64)
    slots[layout.slot(np.zeros(1, dtype=np.int64), layout.lane(np.array([N_ROWS - 1]), 0, 0))] = 1
    with SealFile() as file:
        altered = file.load(seal.Ciphertext(), context, first, "it")
        seal.Evaluator(context.seal_context).add_plain_inplace(altered, context.encode(slots))
        forged = file.dump(altered)
    with pytest.raises(DecryptionError, match=r"no sum of leaves.*retired"):
        target.client.decrypt(response_to(request, [forged, *others]))


def plus(client, blob, layout, sample, number):
    """A result with a number added to the sum of a sample, at every position of a lane, as a result has it."""
    of_lanes = np.zeros(layout.n_lanes, dtype=np.int64)
    of_lanes[layout.lane(sample, 0, 0)] = number % PLAIN_MODULUS
    with SealFile() as file:
        altered = file.load(seal.Ciphertext(), client.context, blob, "it")
        plain = client.context.encode(layout.repeat_lanes(of_lanes))
        seal.Evaluator(client.context.seal_context).add_plain_inplace(altered, plain)
        return file.dump(altered)


@pytest.mark.parametrize("end", ["low", "high"])
def test_scores_that_no_leaves_add_up_to_cost_the_keys(target, asked, end):
    """The ends of the range are scores, and what lies beyond them is none."""
    request, blobs = asked
    client, program, layout = target.client, target.program, target.client._layout(N_ROWS)
    low, high = (bound[0] for bound in program.ensemble.score_bounds())
    bound, step = (low, -1) if end == "low" else (high, 1)
    sample, honest = 1, target.expected(N_ROWS)
    change = int(bound - honest[sample, 0])
    digits = joined_digits_of(change, program.digit_bits, len(program.outputs))
    at_the_end = [plus(client, blob, layout, sample, d) for blob, d in zip(blobs, digits, strict=False)]
    scores = client.decrypt(response_to(request, [*at_the_end, blobs[-1]]), request)
    assert scores[sample, 0] == bound and (np.delete(scores, sample, 0) == np.delete(honest, sample, 0)).all()
    request = target.ask(N_ROWS)
    blobs = blobs_of(target.server.run(request, target.keys))
    beyond = [plus(client, blob, layout, sample, d) for blob, d in zip(blobs, digits, strict=False)]
    beyond[0] = plus(client, beyond[0], layout, sample, step)
    with pytest.raises(DecryptionError, match=r"no sum of leaves.*retired"):
        client.decrypt(response_to(request, [*beyond, blobs[-1]]))


def joined_digits_of(value, digit_bits, n_digits):
    """Balanced digits of a number, the least significant first."""
    digits, half = [], 1 << (digit_bits - 1)
    for _ in range(n_digits):
        digits.append((value + half) % (2 * half) - half)
        value = (value - digits[-1]) >> digit_bits
    assert value == 0
    return digits


@pytest.mark.parametrize("bounds", [None, [], [[0, 1], [0, 1]], [[0]], [[0, 1.5]], [[True, 1]], [["0", 1]], 3])
def test_a_client_needs_the_range_of_each_score(target, bounds):
    spec = target.program.client_spec
    spoiled = ClientSpec(spec.backend, spec.program_id, {**spec.metadata, "score_bounds": bounds}, spec.arrays)
    with pytest.raises(ProtocolError, match="score_bounds are malformed"):
        target.backend.client(spoiled)


def test_archives_with_parameters_that_do_not_suffice_are_refused(target):
    load, ensemble, metadata = target.backend.load, target.program.ensemble, target.program.metadata()
    primes = metadata["parameters"]["prime_bits"]
    other = {**metadata["parameters"], "prime_bits": [primes[0] + 1, *primes[1:]]}
    assert load(ensemble, {**metadata, "parameters": other}).parameters.prime_bits == tuple(other["prime_bits"])
    for spoiled in ({"prime_bits": primes[:-1]}, {"prime_bits": [36] * len(primes)}, {"special_bits": 36}):
        with pytest.raises(ProtocolError, match="do not suffice"):
            load(ensemble, {**metadata, "parameters": {**metadata["parameters"], **spoiled}})
