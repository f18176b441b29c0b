"""Secrets and noise: their exact distributions, and that no encryption uses those of another."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from fhe_estimators.backends.lwe import WeightNorms, select_parameters
from fhe_estimators.backends.lwe._randomness import new_key
from fhe_estimators.backends.lwe.client import encryption
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.client.sampling import (
    UNIT_VALUES,
    centred_binomial,
    n_units,
    noise_stream,
    ternary_secret,
)
from fhe_estimators.backends.lwe.parameters import LARGEST_NOISE, NOISE_BITS, NOISE_STANDARD_DEVIATION
from tests.backends.lwe.kernels import KINDS, kernels

KEY = bytes(range(32))
#: Of the security table, for which the parameter sets are chosen.
TABLE_DEVIATION = 3.19


def test_secret_known_answer():
    secret = ternary_secret(KEY, select_parameters(1024))
    assert secret.ravel()[:16].tolist() == [1, -1, -1, 1, -1, 0, -1, 0, 0, -1, 0, 0, 1, 0, 1, 1]


def test_secrets_are_uniform_in_minus_one_zero_one():
    secrets = np.concatenate([ternary_secret(new_key(), select_parameters(1024)).ravel() for _ in range(200)])
    assert set(secrets.tolist()) == {-1, 0, 1}
    assert stats.chisquare(np.bincount(secrets + 1)).pvalue > 1e-9


def test_every_byte_but_one_decides_a_coefficient_without_bias(monkeypatch):
    """All bytes once: each value comes 85 times, and the last byte is drawn again."""
    parameters = select_parameters(1024)
    drawn = np.tile(np.arange(256, dtype=np.uint8), 8)
    monkeypatch.setattr("fhe_estimators.backends.lwe._randomness.Keystream.words", lambda self, shape, dtype: drawn)
    secret = ternary_secret(KEY, parameters).ravel()
    assert np.bincount(secret[:255] + 1).tolist() == [85, 85, 85]
    assert np.array_equal(secret[255:510], secret[:255])


def test_noise_is_no_narrower_than_that_of_the_security_table():
    assert NOISE_STANDARD_DEVIATION >= TABLE_DEVIATION
    assert math.sqrt(NOISE_BITS / 4) == NOISE_STANDARD_DEVIATION
    assert LARGEST_NOISE == NOISE_BITS // 2 and NOISE_BITS % 2 == 0
    assert NOISE_BITS % 7 == 0 and NOISE_BITS < 64  # what the compiled loop counts


def test_every_bit_is_counted_once_and_alike():
    """Of all values of a unit, one bit set raises one, by one; so fair bits give the centred binomial distribution."""
    one_bit = torch.from_numpy(np.packbits(np.eye(UNIT_VALUES, dtype=np.uint8), axis=1, bitorder="little"))
    for row in range(NOISE_BITS):
        bits = torch.zeros(UNIT_VALUES, NOISE_BITS, UNIT_VALUES // 8, dtype=torch.uint8)
        bits[:, row] = one_bit
        raised = centred_binomial(bits).reshape(UNIT_VALUES, UNIT_VALUES).long() + LARGEST_NOISE
        assert (raised.sum(dim=0) == 1).all() and (raised.sum(dim=1) == 1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_noise_from_the_csprng_is_binomial(kind):
    from fhe_estimators.backends.lwe.client.kernels import CompiledKernels

    sampler, n_values = kernels(kind, select_parameters(2)), 1 << 19
    if isinstance(sampler, CompiledKernels):
        noise = sampler._ones(new_key(), n_values).astype(int) - LARGEST_NOISE
    else:
        noise = sampler._noise(new_key(), n_values).numpy().astype(int)
    support = np.arange(-LARGEST_NOISE, LARGEST_NOISE + 1)
    expected = stats.binom(NOISE_BITS, 0.5).pmf(support + LARGEST_NOISE) * n_values
    found = np.bincount(noise + LARGEST_NOISE, minlength=len(support))
    often = expected >= 20
    observed, wanted = (np.append(x[often], x[~often].sum()) for x in (found, expected))
    assert stats.chisquare(observed, wanted).pvalue > 1e-9
    assert np.abs(np.corrcoef(noise[:-1], noise[1:])[0, 1]) < 6 / math.sqrt(n_values)


def test_a_unit_is_the_same_whatever_range_is_asked_for():
    whole = noise_stream(KEY, 0, 5)
    np.testing.assert_array_equal(noise_stream(KEY, 2, 4), whole[2:4])
    assert [n_units(n) for n in (1, 512, 513)] == [1, 1, 2]


def test_pieces_made_by_threads_are_those_of_one_stream(monkeypatch):
    sampler = kernels("compiled", select_parameters(2))
    monkeypatch.setattr("fhe_estimators.backends.lwe.client.kernels._NOISE_UNITS", 3)
    bits = torch.from_numpy(noise_stream(KEY, 0, 10).view(np.uint8))
    assert np.array_equal(sampler._ones(KEY, 5000).astype(int) - LARGEST_NOISE, centred_binomial(bits)[:5000])


class TestFreshness:
    """Two encryptions that share a secret and noise tell the difference of their messages."""

    N_TOKENS, N_FEATURES = 96, 64  # three blocks

    @pytest.fixture
    def keys(self, monkeypatch):
        """Every key that is drawn while a client works."""
        drawn = []

        def recorded():
            drawn.append(new_key())
            return drawn[-1]

        monkeypatch.setattr(encryption, "new_key", recorded)
        return drawn

    @pytest.fixture
    def used(self, monkeypatch):
        """Keys of secrets and of noise, as the sampler and the kernels get them."""
        used = {"secret": [], "noise": []}
        sample, make = encryption.ternary_secret, encryption.client_kernels

        def sampled(key, parameters):
            used["secret"].append(key)
            return sample(key, parameters)

        def recording(*arguments):
            made = make(*arguments)
            encrypt = made.encrypt

            def encrypted(spectra, secret, noise_key, values, scales):
                used["noise"].append(noise_key)
                return encrypt(spectra, secret, noise_key, values, scales)

            made.encrypt = encrypted
            return made

        monkeypatch.setattr(encryption, "ternary_secret", sampled)
        monkeypatch.setattr(encryption, "client_kernels", recording)
        return used

    def encrypt(self, client, times=2):
        values = torch.zeros(self.N_TOKENS, self.N_FEATURES)
        norms = WeightNorms.of(torch.ones(self.N_FEATURES, 8, dtype=torch.int8))
        return [client.encrypt(values, norms) for _ in range(times)]

    def test_every_secret_and_every_noise_has_a_key_of_its_own(self, used, keys):
        for client in (LWEClient(select_parameters(32)) for _ in range(2)):
            self.encrypt(client)
        n_blocks = 2 * 2 * 3
        assert len(used["secret"]) == len(used["noise"]) == n_blocks
        assert set(used["secret"] + used["noise"]) <= set(keys)  # of the operating system, and drawn here
        assert len(set(used["secret"] + used["noise"])) == 2 * n_blocks
        assert len(set(keys)) == len(keys) == 2 * n_blocks + 2  # and the public seed of each client

    def test_noise_differs_between_blocks_and_encryptions(self):
        """Seen from outside: what is left of encrypted zeros without their masks."""
        client = LWEClient(select_parameters(32))
        noises, ones = [], torch.ones(self.N_FEATURES)
        for ciphertexts, secrets in self.encrypt(client):
            for secret, block in zip(secrets.take(), ciphertexts.split(32), strict=True):
                noises.append(client._kernels.decrypt(client._public, secret, block, ones, torch.ones(32)).flatten())
        correlations = torch.corrcoef(torch.stack(noises) / 64).fill_diagonal_(0)
        assert len(noises) == 6
        assert correlations.abs().max() < 0.15
        assert torch.stack(noises).div(64).std() == pytest.approx(math.sqrt(NOISE_BITS / 4 + 16 / 12), rel=0.05)

    def test_secrets_differ_between_blocks_and_encryptions(self):
        client = LWEClient(select_parameters(32))
        spectra = [spectrum for _, secrets in self.encrypt(client) for spectrum in secrets.take()]
        assert len({spectrum.numpy().tobytes() for spectrum in spectra}) == 6

    def test_public_seeds_differ_between_clients(self):
        assert len({LWEClient(select_parameters(32)).seed for _ in range(4)}) == 4
