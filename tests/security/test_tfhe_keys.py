"""The parameters of a tfhe client are checked before it makes a key."""

import contextlib
import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fhe_estimators.backends import ClientSpec
from fhe_estimators.backends.tfhe import TFHEBackend
from fhe_estimators.backends.tfhe._key_parameters import security_of_specs
from fhe_estimators.exceptions import FHEError, InsecureParametersError, ProtocolError
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble

pytest.importorskip("concrete.fhe")


def compiled(backend, **options):
    ensemble = random_ensemble(np.random.default_rng(0), leaf_probability=0.0, **options)
    quantizer = ThresholdQuantizer(ensemble).fit()
    return backend.compile(backend.quantize(ensemble, quantizer), quantizer)


@pytest.fixture(scope="module")
def program():
    return compiled(TFHEBackend(), n_trees=3, depth=3)


@pytest.fixture
def specs(program):
    """Concrete's parameters of the client, to be spoiled."""
    return json.loads(program.client_spec.arrays["specs"].tobytes())


def refused(program, specs):
    """The error with which a client turns its parameters down, before it has any key."""
    spec = program.client_spec
    data = specs if isinstance(specs, bytes) else json.dumps(specs).encode()
    spoiled = ClientSpec(
        spec.backend, spec.program_id, spec.metadata, {**spec.arrays, "specs": np.frombuffer(data, dtype=np.uint8)}
    )
    with pytest.raises(FHEError) as caught:
        TFHEBackend().client(spoiled)
    return caught.value


def encryptions(specs):
    """Where variances of noise are written: evaluation keys, ciphertexts."""
    keyset, (circuit,) = specs["keyset"], specs["circuits"]
    keys = [key["params"] for key in keyset["lweBootstrapKeys"] + keyset["lweKeyswitchKeys"]]
    gates = circuit["inputs"] + circuit["outputs"]
    return keys + [gate["typeInfo"]["lweCiphertext"]["encryption"] for gate in gates]


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        (TFHEBackend(), {"n_trees": 3, "depth": 3}),
        (TFHEBackend("server"), {"n_trees": 2, "depth": 2}),
        (TFHEBackend(p_error=2.0**-20), {"n_trees": 5, "depth": 2}),
    ],
)
def test_what_concrete_chooses_is_secure_and_described(backend, options):
    program = compiled(backend, **options)
    bits = security_of_specs(program.client_spec.arrays["specs"].tobytes())
    assert 128 <= bits < 131
    assert program.describe()["security_bits"] == int(bits)


def test_all_noise_taken_away(program, specs):
    """The attack of an archive's author: without noise, one request is a system of linear equations for the key."""
    for encryption in encryptions(specs):
        encryption["variance"] = 0.0
    error = refused(program, specs)
    assert isinstance(error, InsecureParametersError) and "noise of standard deviation 0 " in str(error)


@pytest.mark.parametrize("variance", [0.0, 1e-40, -1e-20, 2.0, float("nan"), float("inf"), "8e-31", None, True])
def test_every_single_noise_is_checked(program, specs, variance):
    for index in range(len(encryptions(specs))):
        spoiled = copy.deepcopy(specs)
        encryptions(spoiled)[index]["variance"] = variance
        assert isinstance(refused(program, spoiled), (InsecureParametersError, ProtocolError))


def test_half_the_noise_is_too_little(program, specs):
    for index in range(len(encryptions(specs))):
        spoiled = copy.deepcopy(specs)
        encryptions(spoiled)[index]["variance"] /= 4
        assert "bits of security" in str(refused(program, spoiled))


def smaller_key(specs):
    key = specs["keyset"]["lweSecretKeys"][0]
    old, key["params"]["lweDimension"] = key["params"]["lweDimension"], 512
    for encryption in encryptions(specs):
        for name in ("lweDimension", "inputLweDimension", "outputLweDimension", "polynomialSize"):
            if encryption.get(name) == old:
                encryption[name] = 512


def other_distribution(specs):
    specs["keyset"]["lweSecretKeys"][0]["params"]["keyType"] = "zero"


def plain_input(specs):
    gate = specs["circuits"][0]["inputs"][0]
    gate["typeInfo"] = {"plaintext": {"shape": gate["typeInfo"]["lweCiphertext"]["abstractShape"]}}


def other_modulus(specs):
    encryptions(specs)[-1]["modulus"] = {"modulus": {"power": {"power": 16}}}


def other_words(specs):
    specs["keyset"]["lweSecretKeys"][0]["params"]["integerPrecision"] = 32


@pytest.mark.parametrize("spoil", [smaller_key, other_distribution, plain_input, other_modulus, other_words])
def test_weak_keys_and_plain_inputs(program, specs, spoil):
    spoil(specs)
    assert isinstance(refused(program, specs), InsecureParametersError)


def mismatched_dimension(specs):
    encryptions(specs)[-1]["lweDimension"] += 1


def mismatched_input(specs):
    specs["keyset"]["lweBootstrapKeys"][0]["params"]["inputLweDimension"] += 1


def unknown_key(specs):
    specs["circuits"][0]["inputs"][0]["typeInfo"]["lweCiphertext"]["encryption"]["keyId"] = 7


def same_number_twice(specs):
    specs["keyset"]["lweSecretKeys"].append(specs["keyset"]["lweSecretKeys"][0])


def many_keys(specs):
    specs["keyset"]["lweBootstrapKeys"] = [specs["keyset"]["lweBootstrapKeys"][0]] * 10**5


def all_memory(specs):
    """Keys that are allowed one by one."""
    specs["keyset"]["lweBootstrapKeys"][0]["params"] |= {"levelCount": 64, "baseLog": 1}
    specs["keyset"]["lweBootstrapKeys"] *= 60


def many_levels(specs):
    specs["keyset"]["lweKeyswitchKeys"][0]["params"]["levelCount"] = 10**5


def packing_key(specs):
    specs["keyset"]["packingKeyswitchKeys"] = [{}]


def integers_of_tfhe_rs(specs):
    specs["tfhers_specs"] = {"input_types_per_func": {"f": [{"bit_width": 8}]}}


def no_name(specs):
    specs["circuits"][0]["name"] = None


def no_encoding(specs):
    del specs["circuits"][0]["outputs"][0]["typeInfo"]["lweCiphertext"]["encoding"]["integer"]["mode"]


def no_shapes(specs):
    """What Concrete itself finds."""
    del specs["tfhers_specs"]["input_shapes_per_func"]


def two_circuits(specs):
    specs["circuits"] *= 2


def no_circuit(specs):
    del specs["circuits"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (mismatched_dimension, "has dimension 2049, and its key 2048"),
        (mismatched_input, "does not fit the binary secret key"),
        (unknown_key, "KeyError: 7"),
        (same_number_twice, "not numbered from 0"),
        (many_keys, "more than 64 evaluation keys"),
        (all_memory, "would take"),
        (many_levels, "decomposes into more than 64 bits"),
        (packing_key, "no packing keyswitch keys"),
        (integers_of_tfhe_rs, "no integers of TFHE-rs"),
        (no_name, "has no name"),
        (no_encoding, "'mode'"),
        (no_shapes, "Concrete finds no client parameters"),
        (two_circuits, "no client parameters of Concrete"),
        (no_circuit, "'circuits'"),
    ],
)
def test_malformed_parameters(program, specs, spoil, reason):
    spoil(specs)
    error = refused(program, specs)
    assert isinstance(error, ProtocolError) and reason in str(error)


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b'{"keyset": 3}', b"[" * 10**5])
def test_what_are_no_parameters(program, data):
    assert isinstance(refused(program, data), ProtocolError)


def places(values):
    """Every list and dict inside, with each of its keys."""
    for key, value in values.items() if isinstance(values, dict) else enumerate(values):
        yield values, key
        if isinstance(value, (dict, list)):
            yield from places(value)


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just([]) | st.just({})


@given(st.data())
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_accepted_is_secure(specs, data):
    spoiled = copy.deepcopy(specs)
    holder, key = data.draw(st.sampled_from(list(places(spoiled))))
    if data.draw(st.booleans()):
        holder[key] = data.draw(anything)
    else:
        del holder[key]
    with contextlib.suppress(InsecureParametersError, ProtocolError):
        assert security_of_specs(json.dumps(spoiled).encode()) >= 128


@pytest.mark.parametrize(
    "change",
    [
        {"server_code_bits": 10**9},
        {"server_code_bits": 0},
        {"server_code_bits": "6"},
        {"server_code_bits": 6.0},
        {"server_code_bits": 6, "with_missing": 1},
        {"server_code_bits": 6, "n_features": -1},
    ],
)
def test_codes_of_any_size(program, change):
    spec = program.client_spec
    with pytest.raises(ProtocolError, match=r"refused|malformed"):
        TFHEBackend().client(ClientSpec(spec.backend, spec.program_id, {**spec.metadata, **change}, spec.arrays))


@pytest.mark.parametrize("change", [{"server_code_bits": 99}, {"p_error": 0.0}, {"p_error": 2}, {"p_error": "nan"}])
def test_settings_of_a_server_archive(program, change):
    assert TFHEBackend().load(program.ensemble, program.metadata()).program_id == program.program_id
    with pytest.raises(ProtocolError):
        TFHEBackend().load(program.ensemble, {**program.metadata(), **change})
