import hashlib

import numpy as np
import pytest
from scipy import stats

from fhe_estimators.backends.lwe import LWEParameters, select_parameters
from fhe_estimators.backends.lwe._randomness import Keystream, new_key, public_matrix
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


def test_public_matrix_is_uniform():
    words = public_matrix(new_key(), select_parameters(64), 0, 64).ravel() >> 6
    for shift in (0, 9, 18):  # the lowest, middle and highest of 26 bits
        counts = np.bincount((words >> np.uint32(shift)) & np.uint32(255), minlength=256)
        assert stats.chisquare(counts).pvalue > 1e-9


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
