"""Security of the parameter sets, many secrets under one public matrix included."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fhe_estimators.backends import SECURITY_BITS, security_bits
from fhe_estimators.backends.lwe import PARAMETER_SETS, LWEParameters, WeightNorms, select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.parameters import MAX_SECRETS, NOISE_STANDARD_DEVIATION
from fhe_estimators.exceptions import FHEError, InsecureParametersError, ProtocolError


@pytest.mark.parametrize("name", PARAMETER_SETS)
def test_any_of_all_secrets_is_above_the_floor(name):
    parameters = select_parameters(512, name=name)
    assert parameters.security_bits >= SECURITY_BITS
    # without the rounding of what is sent, too
    dimension, modulus_bits = PARAMETER_SETS[name]
    without = security_bits(dimension, modulus_bits, NOISE_STANDARD_DEVIATION, "ternary", MAX_SECRETS)
    assert SECURITY_BITS <= without < parameters.security_bits
    assert parameters.security_bits < security_bits(dimension, modulus_bits, 100.0)


def test_a_client_makes_no_more_secrets_than_were_counted_with():
    client = LWEClient(select_parameters(4))
    values = torch.ones(9, 8)
    norms = WeightNorms.of(torch.ones(8, 2, dtype=torch.int8))
    client._n_secrets = MAX_SECRETS - 5
    client.encrypt(values, norms)  # three blocks of four tokens
    with pytest.raises(InsecureParametersError, match="compile again"):
        client.encrypt(values, norms)
    client.encrypt(values[:8], norms)


numbers = st.integers(-(2**70), 2**70) | st.sampled_from([1024, 2048, 26, 32, 512]) | st.booleans() | st.none()
anything = numbers | st.floats() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)


@given(st.fixed_dictionaries(dict.fromkeys(("dimension", "modulus_bits", "ring_degree"), anything)) | anything)
def test_parameters_of_a_message_are_a_known_set_or_refused(values):
    try:
        parameters = LWEParameters.from_dict(values)
    except (InsecureParametersError, ProtocolError):
        return
    assert (parameters.dimension, parameters.modulus_bits) in PARAMETER_SETS.values()


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 32768, "ring_degree": 32768},  # secure, and the work of hours
        {"dimension": 1024.0},
        {"dimension": "1024"},
        {"modulus_bits": 25},
        {"ring_degree": True},
        {"ring_degree": 3},
        {"ring_degree": 1e400},
        {"dimension": None},
    ],
)
def test_no_set_of_this_version(change):
    good = select_parameters(512).to_dict()
    assert LWEParameters.from_dict(good) == select_parameters(512)
    with pytest.raises(ProtocolError):
        LWEParameters.from_dict({**good, **change})
    with pytest.raises(FHEError):
        LWEParameters.from_dict({name: value for name, value in good.items() if name not in change})
