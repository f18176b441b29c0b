import hashlib

import numpy as np
import pytest
from scipy import stats

from fhe_estimators.backends.lwe import LWEParameters, select_parameters
from fhe_estimators.backends.lwe._randomness import (
    GAUSSIAN_THRESHOLDS,
    Keystream,
    gaussian_from_words,
    new_key,
    public_matrix,
    ternary_secret,
)
from fhe_estimators.backends.lwe.parameters import NOISE_STANDARD_DEVIATION
from fhe_estimators.exceptions import InsecureParametersError

KEY = bytes(range(32))


def test_keystream_is_aes_256_in_counter_mode():
    # NIST SP 800-38A, F.5.5, with the counter at zero instead: the block is the encryption of zeros.
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    assert Keystream(key).words((16,), np.uint8).tobytes().hex() == "e568f68194cf76d6174d4cc04310a854"


def test_public_matrix_is_the_same_whatever_range_is_asked_for():
    parameters = select_parameters(64)
    whole = public_matrix(KEY, parameters, 0, 7)
    np.testing.assert_array_equal(public_matrix(KEY, parameters, 3, 5), whole[3:5])
    assert hashlib.sha256(whole.tobytes()).hexdigest()[:16] == "bc46323997317ca8"
    assert (whole % 64 == 0).all()  # 26 bits, in the upper part of the word


def test_secret_known_answer():
    secret = ternary_secret(KEY, select_parameters(1024))
    assert secret.ravel()[:16].tolist() == [1, -1, -1, 1, -1, 0, -1, 0, 0, -1, 0, 0, 1, 0, 1, 1]


def test_secrets_are_uniform_in_minus_one_zero_one():
    secrets = np.concatenate([ternary_secret(new_key(), select_parameters(1024)).ravel() for _ in range(200)])
    assert set(secrets.tolist()) == {-1, 0, 1}
    assert stats.chisquare(np.bincount(secrets + 1)).pvalue > 1e-6


def test_noise_is_the_discrete_gaussian_of_the_security_table():
    words = np.arange(1 << 16, dtype=np.uint16)  # every word once: the exact distribution
    counts = np.bincount(gaussian_from_words(words).astype(int) + 64, minlength=129)
    support = np.arange(-64, 65)
    density = np.exp(-(support**2) / (2 * NOISE_STANDARD_DEVIATION**2))
    expected = density / density.sum() * (1 << 16)
    assert np.abs(counts - expected).max() <= 2  # rounding to multiples of 2^-15, both signs
    deviation = np.sqrt((counts * support.astype(float) ** 2).sum() / (1 << 16))
    assert deviation == pytest.approx(NOISE_STANDARD_DEVIATION, rel=2e-3)
    assert len(GAUSSIAN_THRESHOLDS) >= 12


def test_noise_from_the_csprng_passes_a_chi_square_test():
    noise = gaussian_from_words(Keystream(new_key()).words((1 << 18,), np.uint16))
    exact = np.bincount(gaussian_from_words(np.arange(1 << 16, dtype=np.uint16)).astype(int) + 64, minlength=129)
    found = np.bincount(noise.astype(int) + 64, minlength=129)
    often = exact >= 40
    observed, expected = [np.append(x[often], x[~often].sum()) for x in (found, exact * 4)]
    assert stats.chisquare(observed, expected).pvalue > 1e-6


@pytest.mark.parametrize(("dimension", "modulus_bits"), [(1024, 27), (1024, 32), (512, 24), (1000, 24)])
def test_parameters_below_128_bits_are_refused(dimension, modulus_bits):
    with pytest.raises(InsecureParametersError, match=r"dimension|modulus|table"):
        LWEParameters(dimension, modulus_bits, 64)


@pytest.mark.parametrize("degree", [0, 1, 3, 2048])
def test_ring_degree_must_be_a_power_of_two_within_the_dimension(degree):
    with pytest.raises(ValueError, match="ring_degree"):
        LWEParameters(1024, 26, degree)


@pytest.mark.parametrize(("n_tokens", "degree"), [(1, 2), (2, 2), (3, 4), (512, 512), (513, 1024), (5000, 1024)])
def test_ring_degree_covers_the_tokens(n_tokens, degree):
    parameters = select_parameters(n_tokens)
    assert parameters.ring_degree == degree
    assert parameters.rank * degree == 1024


def test_unknown_parameter_set():
    with pytest.raises(ValueError, match=r"parameters='tiny' is unknown: use one of \['fast', 'precise'\]"):
        select_parameters(64, name="tiny")
