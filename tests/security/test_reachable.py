"""Every parameter set that ckks and bfv can choose or be given is above the floor."""

import dataclasses
import json
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends import SECURITY_BITS, ClientSpec, resolve_backend, security_bits
from fhe_estimators.backends.bfv import BFVBackend
from fhe_estimators.backends.bfv.circuit.noise import NoiseSteps
from fhe_estimators.backends.bfv.parameters import RING_DEGREES, BFVParameters, fit_ring
from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks.circuit.noise import CircuitNoise
from fhe_estimators.backends.ckks.parameters import CKKSParameters, select_parameters
from fhe_estimators.exceptions import InsecureParametersError, ParameterSelectionError, ProtocolError
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble

GOOD = {
    "poly_modulus_degree": 8192,
    "base_bits": [56, 55],
    "prime_bits": 43,
    "special_bits": 60,
    "n_levels": 2,
    "score_bits": 22,
    "expansion_log2": 7,
}


def test_the_whole_search_space_of_ckks():
    chosen = set()
    for n_levels, score_bits, scale in product(range(1, 12), range(8, 28, 3), 10.0 ** np.arange(-2, 4)):
        noise = CircuitNoise(np.array([scale]), np.array([scale]), np.ones(1), 1)
        try:
            chosen.add(select_parameters(n_levels=n_levels, score_bits=[score_bits], noise=noise, expansions=[7, 0]))
        except ParameterSelectionError:
            continue
    assert {parameters.poly_modulus_degree for parameters in chosen} >= {4096, 8192, 16384, 32768}
    for parameters in chosen:
        assert parameters.security_bits == security_bits(
            parameters.poly_modulus_degree, sum(parameters.coeff_modulus_bits)
        )
        assert int(parameters.security_bits) >= SECURITY_BITS


numbers = (
    st.integers(-(2**70), 2**70) | st.integers(0, 70) | st.booleans() | st.none() | st.floats() | st.text(max_size=2)
)


@given(st.sampled_from(sorted(GOOD)), numbers | st.lists(numbers, max_size=4))
@settings(deadline=None, max_examples=400)
def test_parameters_of_an_archive_are_secure_or_refused(name, value):
    values = json.loads(json.dumps({**GOOD, name: value}))
    try:
        parameters = CKKSParameters.from_json(values)
    except (InsecureParametersError, ProtocolError):
        return
    assert int(parameters.security_bits) >= SECURITY_BITS


@pytest.mark.parametrize(
    "change",
    [
        {"prime_bits": -100, "n_levels": 3, "base_bits": [60, 60], "special_bits": 60},
        {"n_levels": 10**12},
        {"n_levels": 0},
        {"base_bits": [30] * 4},
        {"base_bits": []},
        {"base_bits": "ab"},
        {"base_bits": [200, -89]},
        {"expansion_log2": 40},
        {"score_bits": 10**6},
        {"special_bits": 43.5},
    ],
)
def test_numbers_that_only_add_up(change):
    with pytest.raises(ProtocolError, match="malformed"):
        CKKSParameters.from_json({**GOOD, **change})


@pytest.mark.parametrize(
    "change",
    [{"poly_modulus_degree": value} for value in (4096, 2**16, 8192.0, [8192], "8192", True, None)] + [{"n_levels": 4}],
)
def test_too_little_security(change):
    with pytest.raises(InsecureParametersError, match=r"below 128-bit security|not in the security table"):
        CKKSParameters.from_json({**GOOD, **change})


@pytest.fixture(scope="module")
def programs():
    ensemble = random_ensemble(np.random.default_rng(0), n_trees=3, depth=3, leaf_probability=0.0)
    quantizer = ThresholdQuantizer(ensemble).fit()
    backends = {backend.name: backend for backend in (CKKSBackend(), BFVBackend())}
    return {
        name: backend.compile(backend.quantize(ensemble, quantizer), quantizer) for name, backend in backends.items()
    }


@pytest.mark.parametrize("name", ["ckks", "bfv"])
def test_describe_computes_it(programs, name):
    program = programs[name]
    parameters = program.parameters
    bits = security_bits(parameters.poly_modulus_degree, sum(parameters.coeff_modulus_bits))
    assert program.describe()["security_bits"] == int(bits) >= SECURITY_BITS
    stronger = resolve_backend(name).load(program.ensemble, program.metadata())
    stronger.parameters = dataclasses.replace(parameters, special_bits=36)
    assert stronger.describe()["security_bits"] > program.describe()["security_bits"]


@pytest.mark.parametrize("name", ["ckks", "bfv"])
@pytest.mark.parametrize("elements", [None, "all", [2], [1], [2**17], [True], [3.0], [-3], list(range(3, 2001, 2))])
def test_a_client_makes_no_keys_for_whatever_it_is_told(programs, name, elements):
    spec = programs[name].client_spec
    spoiled = ClientSpec(spec.backend, spec.program_id, {**spec.metadata, "galois_elements": elements}, spec.arrays)
    with pytest.raises(ProtocolError, match="galois_elements are malformed"):
        resolve_backend(name).client(spoiled)


def test_the_whole_search_space_of_bfv():
    steps = product((1, 30), (1, 100, 4096), (0, 8), range(12), (1, 50))
    chosen = {fit_ring(degree, NoiseSteps(*each)) for degree, each in product(RING_DEGREES, steps)} - {None}
    assert {parameters.poly_modulus_degree for parameters in chosen} == set(RING_DEGREES)
    for parameters in chosen:
        assert int(security_bits(parameters.poly_modulus_degree, sum(parameters.coeff_modulus_bits))) >= SECURITY_BITS


BFV = {"poly_modulus_degree": 8192, "prime_bits": [37, 50, 50], "special_bits": 50}


@given(st.sampled_from(sorted(BFV)), numbers | st.lists(numbers, max_size=4))
@settings(deadline=None, max_examples=300)
def test_bfv_parameters_of_an_archive_are_secure_or_refused(name, value):
    try:
        parameters = BFVParameters.from_json({**BFV, name: value})
    except (InsecureParametersError, ProtocolError):
        return
    assert int(security_bits(parameters.poly_modulus_degree, sum(parameters.coeff_modulus_bits))) >= SECURITY_BITS
