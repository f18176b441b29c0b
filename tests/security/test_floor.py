"""No parameter set below 128 bits can be reached."""

import math

import pytest

from fhe_estimators.backends import (
    MAX_COEFF_MODULUS_BITS,
    SECURITY_BITS,
    check_lwe_security,
    check_ring_security,
    security_bits,
)
from fhe_estimators.exceptions import InsecureParametersError
from tests.security.published import LARGEST_MODULUS_BITS, concrete_noise_std

#: Limits of the Homomorphic Encryption Standard of 2018, which SEAL enforces: too large by what is known today.
STANDARD_2018 = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}


def test_the_table_is_the_published_one():
    published = LARGEST_MODULUS_BITS[128, "ternary"]
    assert {degree: published[degree] for degree in MAX_COEFF_MODULUS_BITS} == MAX_COEFF_MODULUS_BITS


@pytest.mark.parametrize("degree", MAX_COEFF_MODULUS_BITS)
def test_the_table_is_what_the_estimate_allows(degree):
    limit = MAX_COEFF_MODULUS_BITS[degree]
    assert security_bits(degree, limit) >= SECURITY_BITS > security_bits(degree, limit + 1)
    assert security_bits(degree, STANDARD_2018[degree]) < SECURITY_BITS
    with pytest.raises(InsecureParametersError):
        check_ring_security(degree, STANDARD_2018[degree])


@pytest.mark.parametrize("dimension", [450, *range(470, 1300, 25), 783, 1536, 2048, 3072, 4096, 8192])
def test_concrete_s_curve_is_above_the_floor_and_close_to_it(dimension):
    """Whatever its optimizer picks has this noise at least."""
    noise = concrete_noise_std(dimension)
    check_lwe_security("key", dimension=dimension, modulus_bits=64, noise_std=noise, secret="binary")
    if noise > 4:
        with pytest.raises(InsecureParametersError, match="bits of security"):
            check_lwe_security("key", dimension=dimension, modulus_bits=64, noise_std=noise / 2, secret="binary")


GOOD = {"dimension": 2048, "modulus_bits": 64, "noise_std": concrete_noise_std(2048), "secret": "binary"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"noise_std": 0.0}, "noise of standard deviation 0 is out of range"),
        ({"noise_std": 3.0}, "at least 3.19"),
        ({"noise_std": 3.2}, "bits of security"),
        ({"noise_std": math.nan}, "out of range"),
        ({"noise_std": 2.0**64}, "below the modulus"),
        ({"dimension": 0}, "dimension=0"),
        ({"dimension": 2**20}, "dimension=1048576"),
        ({"dimension": 100, "noise_std": 2.0**60}, "50.0 bits of security"),
        ({"dimension": 1024}, "bits of security"),
        ({"modulus_bits": 80}, "bits of security"),
        ({"n_secrets": 2**60, "dimension": 2040}, "bits of security"),
    ],
)
def test_a_weak_key_is_named_with_what_is_wrong(change, reason):
    assert check_lwe_security("the key", **GOOD) >= 128
    with pytest.raises(InsecureParametersError, match=rf"^the key: .*{reason}"):
        check_lwe_security("the key", **{**GOOD, **change})
