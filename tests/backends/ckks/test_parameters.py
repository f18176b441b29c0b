"""Parameters: secure by construction, chosen by depth and precision."""

import dataclasses
import itertools

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends import MAX_COEFF_MODULUS_BITS, check_ring_security, resolve_backend
from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks._context import CKKSContext
from fhe_estimators.backends.ckks.circuit.noise import CircuitNoise
from fhe_estimators.backends.ckks.parameters import CKKSParameters, _fit_ring, least_bit_scale, select_parameters
from fhe_estimators.ensembles import TreeEnsemble, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.exceptions import InsecureParametersError, ParameterSelectionError, ProtocolError
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble

SECURE = CKKSParameters(8192, (56, 55), 43, 60, 2, 22, 7)


@pytest.mark.parametrize(
    "change", [{"poly_modulus_degree": 4096}, {"n_levels": 4}, {"base_bits": (60, 60)}, {"poly_modulus_degree": 8191}]
)
def test_insecure_sets_cannot_be_made(change):
    with pytest.raises(InsecureParametersError, match=r"below 128-bit security|not in the security table"):
        dataclasses.replace(SECURE, **change)


def test_the_table_is_no_laxer_than_seal():
    """SEAL's own table, of the 2018 standard, allows more; ours is the one that is enforced."""
    for degree, bits in MAX_COEFF_MODULUS_BITS.items():
        assert bits <= seal.CoeffModulus.MaxBitCount(degree, seal.SEC_LEVEL_TYPE.TC128)
        check_ring_security(degree, bits)
        with pytest.raises(InsecureParametersError, match=str(degree)):
            check_ring_security(degree, bits + 1)


@pytest.mark.parametrize("values", [{}, {"base_bits": 3}, {"base_bits": [56, 55], "unknown": 1}, {"base_bits": None}])
def test_malformed_parameters(values):
    with pytest.raises(ProtocolError, match="malformed"):
        CKKSParameters.from_json(values)


def test_levels_and_scales_agree():
    context = CKKSContext(dataclasses.replace(SECURE, base_bits=(48, 48), prime_bits=37, special_bits=44, n_levels=3))
    assert sorted(context.level_ids) == [1, 2, 3]
    for level in (1, 2):
        rescaled = context.bit_scale(level + 1) ** 2 / context.primes[level + 1]
        assert rescaled == pytest.approx(context.bit_scale(level), rel=1e-15)
        assert context.bit_scale(level) == pytest.approx(2.0**37, rel=1e-3)


@pytest.mark.parametrize("degree", [4096, 8192, 16384, 32768])
@pytest.mark.parametrize("score_bits", [8, 20, 26])
def test_scales_are_as_large_as_the_noise_bound_counts_on(degree, score_bits):
    """For every number of levels and every size of primes that parameters can have."""
    for n_levels, special, more in itertools.product((1, 2, 3, 5, 7), (60, 40), (0, 1)):
        parameters = _fit_ring(degree, n_levels, score_bits, special, 0, more)
        if parameters:
            least = min(CKKSContext(parameters).scales.values())
            assert 2.0 ** (parameters.prime_bits - 1) <= least_bit_scale(parameters) <= least


def compiled(layout="auto", **options):
    ensemble = random_ensemble(np.random.default_rng(0), n_features=40, leaf_probability=0.0, **options)
    quantizer, backend = ThresholdQuantizer(ensemble).fit(), CKKSBackend(layout)
    return backend.compile(backend.quantize(ensemble, quantizer), quantizer).describe()


@pytest.mark.parametrize(("depth", "levels"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3)])
def test_depth_costs_its_logarithm(depth, levels):
    described = compiled(n_trees=3, depth=depth)
    assert described["depth"] == levels and described["security_bits"] >= 128
    total = sum(described["coeff_modulus_bits"])
    assert total <= MAX_COEFF_MODULUS_BITS[described["poly_modulus_degree"]]
    assert described["predicted_error_std"] * 8 <= 1 / 8


def test_layouts():
    rows, compact = (compiled(layout, n_trees=10, depth=3) for layout in ("rows", "compact"))
    assert rows["rows_per_small_request"] == rows["rows_per_batch"] == 4096
    assert compact["small_request_bytes"] < rows["small_request_bytes"] / 20
    assert compact["evaluation_key_bytes"] > rows["evaluation_key_bytes"]
    with pytest.raises(ValueError, match="layout='wide' is unknown"):
        CKKSBackend("wide")
    assert repr(CKKSBackend("rows")) == "CKKSBackend(layout='rows')" and resolve_backend("ckks").layout == "auto"


def test_what_no_ring_can_do_is_refused_with_a_way_out():
    noise = CircuitNoise(np.ones(1), np.ones(1), np.ones(1), 1)
    with pytest.raises(ParameterSelectionError, match=r"30 multiplicative levels .* \(max_depth\)"):
        select_parameters(n_levels=30, score_bits=[20], noise=noise, expansions=[0])
    with pytest.raises(ParameterSelectionError, match=r"fewer trees"):
        select_parameters(n_levels=2, score_bits=[20], noise=noise.scaled(2.0**60), expansions=[0])


def chain(depth):
    """A tree that is one long path."""
    nodes = np.arange(2 * depth + 1)
    inner = nodes % 2 == 0
    inner[-1] = False
    return TreeEnsemble(
        n_features=1,
        n_scores=1,
        tree_offsets=np.array([0, len(nodes)]),
        tree_columns=np.zeros(1, dtype=np.int32),
        feature=np.where(inner, 0, -1).astype(np.int32),
        threshold=nodes.astype(np.float64),
        left=np.where(inner, nodes + 1, -1).astype(np.int32),
        right=np.where(inner, nodes + 2, -1).astype(np.int32),
        missing_right=np.zeros(len(nodes), dtype=bool),
        value=nodes[:, None] / 100.0,
        base_score=np.zeros(1),
        link=IdentityLink(),
    )


def test_a_very_deep_tree_is_exact():
    ensemble = chain(33)
    quantizer, backend = ThresholdQuantizer(ensemble).fit(), CKKSBackend()
    program = backend.compile(backend.quantize(ensemble, quantizer), quantizer)
    assert program.describe()["depth"] == 6
    client, codes = backend.client(program.client_spec), quantizer.transform(np.arange(-3.0, 70.0)[:, None])
    keys = client.generate_keys()
    sums = client.decrypt(backend.evaluator(program).run(client.encrypt(codes), keys))
    np.testing.assert_array_equal(sums, sum_leaves(program.ensemble, codes))


def test_an_absurdly_deep_tree_is_refused():
    ensemble = chain(200)
    quantizer = ThresholdQuantizer(ensemble).fit()
    with pytest.raises(ParameterSelectionError, match=r"depth 200.*max_depth"):
        CKKSBackend().quantize(ensemble, quantizer)
