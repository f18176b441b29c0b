"""Checks of a worker's responses: right ones pass, wrong ones as rarely as promised."""

import copy
import pickle

import numpy as np
import pytest
import torch

from fhe_estimators.backends.lwe import LWEBackend, NoiseModel, WeightNorms, select_parameters
from fhe_estimators.backends.lwe._limbs import from_limbs, to_limbs
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.client.verification import ProductCheck, check_verify_bits
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.exceptions import ProtocolError


@pytest.fixture(scope="module")
def layer():
    torch.manual_seed(0)
    matrix = torch.randint(-127, 128, (96, 80), dtype=torch.int8)
    client = LWEClient(select_parameters(64))
    ciphertexts, _ = client.encrypt(torch.randn(64, 96), WeightNorms.of(matrix))
    return client, matrix, ciphertexts


def hint_of(layer):
    client, matrix, _ = layer
    return compute_hint(matrix, client.seed, client.parameters)


def test_right_responses_and_hints_are_accepted(layer):
    client, matrix, ciphertexts = layer
    check = ProductCheck(matrix)
    assert check.verify_bits == 40
    assert check.accepts(ciphertexts, multiply(ciphertexts, matrix))
    assert check.accepts_hint(hint_of(layer), client.seed, client.parameters)


@pytest.mark.parametrize("shape", [(1, 3), (2000, 5), (3, 2000)])
def test_extreme_ciphertexts_do_not_overflow(shape):
    """Every limb and weight at the end of its range: sums wrap modulo 2^32, as they may."""
    matrix = torch.full(shape, -127, dtype=torch.int8)
    ciphertexts = torch.full((4, 3, shape[0]), -128, dtype=torch.int8)
    response, check = multiply(ciphertexts, matrix), ProductCheck(matrix, 20)
    assert check.accepts(ciphertexts, response)
    response[2, 0, 1] += 1
    assert not check.accepts(ciphertexts, response)


@pytest.mark.parametrize("limb", [0, 1, 2])
@pytest.mark.parametrize("change", [1, -128])
def test_a_change_of_one_value_is_found(layer, limb, change):
    _, matrix, ciphertexts = layer
    for attempt in range(20):
        check, response = ProductCheck(matrix, 20), multiply(ciphertexts, matrix)
        response[attempt, limb, 3 * attempt] ^= change
        assert not check.accepts(ciphertexts, response)


def test_lazy_and_swapped_responses_are_found(layer):
    client, matrix, ciphertexts = layer
    response, check, hint = multiply(ciphertexts, matrix), ProductCheck(matrix), hint_of(layer)
    assert not check.accepts(ciphertexts, torch.zeros_like(response))
    assert not check.accepts(ciphertexts, response.roll(1, dims=0))
    assert not check.accepts(ciphertexts, response.roll(1, dims=2))
    assert not check.accepts_hint(hint.roll(1, dims=0), client.seed, client.parameters)


@pytest.mark.parametrize("n_vectors", [1, 2, 4])
@pytest.mark.parametrize("n_changed", [1, 2, 3])
def test_the_hardest_forgery_passes_as_rarely_as_promised(layer, n_vectors, n_changed):
    """Differences of 2^23 show in the parity of a vector's entries only: it finds them with probability one half."""
    _, matrix, ciphertexts = layer
    forged = multiply(ciphertexts[:1], matrix)
    forged[0, 2, :n_changed] ^= -128
    n_trials = 600
    passed = sum(ProductCheck.insecure_of(matrix, n_vectors).accepts(ciphertexts[:1], forged) for _ in range(n_trials))
    expected = n_trials * 2.0**-n_vectors
    assert abs(passed - expected) < 5 * expected**0.5


def test_the_hardest_forgery_of_a_hint_passes_as_rarely_as_promised(layer):
    client, matrix, _ = layer
    forged = hint_of(layer)
    forged[:2, 0, 0] ^= -(2**31)
    n_trials = 300
    passed = sum(
        ProductCheck.insecure_of(matrix, 3).accepts_hint(forged, client.seed, client.parameters)
        for _ in range(n_trials)
    )
    assert abs(passed - n_trials / 8) < 5 * (n_trials / 8) ** 0.5


def test_the_parity_of_entries_is_uniform_and_independent():
    vectors = ProductCheck(torch.ones((1, 3000), dtype=torch.int8))._outputs
    values, counts = torch.unique(vectors, return_counts=True)
    assert values.tolist() == [-1, 0, 1]
    np.testing.assert_allclose(counts / vectors.numel(), [0.25, 0.5, 0.25], atol=0.01)
    signs = 1.0 - 2.0 * (vectors & 1)
    correlations = signs.T @ signs / len(signs) - torch.eye(signs.shape[1])
    assert correlations.abs().max() < 6 / len(signs) ** 0.5


def test_vectors_are_fresh_unless_a_key_is_given(layer):
    _, matrix, _ = layer
    key = bytes(range(32))
    same = [ProductCheck(matrix, 20, key)._outputs for _ in range(2)]
    assert torch.equal(*same)
    fresh = [ProductCheck(matrix, 20)._outputs for _ in range(2)]
    assert not torch.equal(*fresh) and not torch.equal(same[0], fresh[0])


def test_storage_round_trip(layer):
    client, matrix, ciphertexts = layer
    check = ProductCheck(matrix, 24)
    loaded = ProductCheck.from_tensors(check.tensors(), matrix.shape[1], 24)
    response = multiply(ciphertexts, matrix)
    assert loaded.verify_bits == 24
    assert loaded.accepts(ciphertexts, response) and loaded.accepts_hint(hint_of(layer), client.seed, client.parameters)
    response[0, 0, 0] += 1
    assert not loaded.accepts(ciphertexts, response)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("key"),
        lambda tensors: tensors.update(key=tensors["key"][:-1]),
        lambda tensors: tensors.update(inputs=tensors["inputs"].int()),
        lambda tensors: tensors.update(inputs=tensors["inputs"][:, :-1]),
        lambda tensors: tensors.update(inputs=tensors["inputs"].flatten()),
    ],
)
def test_malformed_storage_is_refused(layer, change):
    tensors = ProductCheck(layer[1], 24).tensors()
    change(tensors)
    with pytest.raises(ProtocolError, match="malformed"):
        ProductCheck.from_tensors(tensors, 80, 24)


def test_vectors_are_never_pickled_or_copied(layer):
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="secret"):
            leak(ProductCheck(layer[1]))


@pytest.mark.parametrize("bad", [0, 1, 19, 40.0, "40", None, True, float("nan")])
def test_soundness_is_an_integer_of_at_least_20_bits(layer, bad):
    for use in (check_verify_bits, lambda bits: ProductCheck(layer[1], bits)):
        with pytest.raises(ValueError, match="verify_bits"):
            use(bad)
    assert check_verify_bits(np.int64(20)) == 20


class TestResponsesOf16Bits:
    """What passes is bounded: by nothing for right ones, by a tolerance of the size of the noise for others."""

    @pytest.fixture(scope="class")
    def rounded(self, layer):
        _, matrix, ciphertexts = layer
        return multiply(ciphertexts, matrix, download_bits=16)

    @staticmethod
    def forged(response, changes):
        """The first token's response with integers added, in units of 2^-16 of the modulus."""
        words = from_limbs(response[:1])
        words[0, : len(changes)] += torch.as_tensor(changes)
        return to_limbs(words, 2)

    def test_they_are_the_upper_limbs(self, layer, rounded):
        _, matrix, ciphertexts = layer
        exact = multiply(ciphertexts, matrix)
        assert rounded.shape == (64, 2, 80) and torch.equal(rounded, exact[:, 1:])
        assert (from_limbs(exact) - 256 * from_limbs(rounded)).abs().max() <= 128

    def test_right_ones_are_accepted_whatever_the_vectors(self, layer, rounded):
        _, matrix, ciphertexts = layer
        assert all(ProductCheck(matrix).accepts(ciphertexts, rounded) for _ in range(30))

    def test_the_worst_rounding_is_accepted(self):
        """Every value is 128 off, in the same direction."""
        matrix, ciphertexts = torch.ones((1, 4096), dtype=torch.int8), torch.zeros((50, 3, 1), dtype=torch.int8)
        ciphertexts[:, 0] = -128
        assert ProductCheck(matrix).accepts(ciphertexts, multiply(ciphertexts, matrix, download_bits=16))

    def test_lazy_swapped_and_unasked_ones_are_refused(self, layer, rounded):
        _, matrix, ciphertexts = layer
        check = ProductCheck(matrix)
        lazy = multiply(torch.nn.functional.pad(ciphertexts[:, 1:], (0, 0, 1, 0)), matrix, download_bits=16)
        half = rounded.clone()
        half[:, :, 40:] = 0
        wrong = [torch.zeros_like(rounded), rounded.roll(1, dims=0), rounded.roll(1, dims=2), lazy, half]
        assert not any(check.accepts(ciphertexts, response) for response in wrong)

    @pytest.mark.parametrize("bit", [15, 12, 7])
    def test_one_value_beyond_twice_the_tolerance_passes_a_vector_at_most_every_other_time(self, layer, rounded, bit):
        _, matrix, ciphertexts = layer
        assert 256 * 2**bit > 2 * ProductCheck(matrix).tolerance
        forged = self.forged(rounded, [2**bit])
        self.assert_rare(matrix, ciphertexts, forged)

    @pytest.mark.parametrize("n_changed", [8, 80])
    def test_many_small_changes_beyond_the_bound_pass_a_vector_at_most_every_other_time(
        self, layer, rounded, n_changed
    ):
        _, matrix, ciphertexts = layer
        size = int(ProductCheck(matrix).largest_deviation / n_changed**0.5 / 256) + 2
        forged = self.forged(rounded, [size * (-1) ** k for k in range(n_changed)])
        self.assert_rare(matrix, ciphertexts, forged)

    @staticmethod
    def assert_rare(matrix, ciphertexts, forged):
        for n_vectors in (1, 3):
            n_trials = 400
            passed = sum(
                ProductCheck.insecure_of(matrix, n_vectors).accepts(ciphertexts[:1], forged) for _ in range(n_trials)
            )
            expected = n_trials * 2.0**-n_vectors
            assert passed < expected + 5 * expected**0.5

    def test_the_bound_is_no_more_than_a_few_times_the_noise(self):
        """Of an encrypted product of 2,048 random inputs: root mean square a value."""
        matrix = torch.randint(-127, 128, (2048, 64), dtype=torch.int8)
        noise = NoiseModel(select_parameters(1024), 16)
        deviation = float(noise.output_deviation(WeightNorms.of(matrix)).mean()) / noise.rounding_unit
        assert ProductCheck(matrix).largest_deviation / 64**0.5 < 3 * deviation

    def test_other_numbers_of_bits_are_refused(self, layer):
        _, matrix, ciphertexts = layer
        for bad in (8, 20, "16", True, None):
            with pytest.raises(ValueError, match="download_bits"):
                multiply(ciphertexts, matrix, download_bits=bad)
            with pytest.raises(ValueError, match="download_bits"):
                LWEBackend(download_bits=bad)
