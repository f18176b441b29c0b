"""The lattice estimate against figures of others."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends import security_bits
from fhe_estimators.security import LWEInstance, estimate_security
from tests.security.published import ESTIMATES, LARGEST_MODULUS_BITS, concrete_noise_std


def sent_noise(modulus_bits):
    """Standard deviation of what hides a ciphertext of the lwe engine as it is sent: noise, and rounding to 24 bits."""
    return math.hypot(3.2, 2.0 ** (modulus_bits - 24) / math.sqrt(12))


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_lattice_estimator_documents_these_costs(name):
    instance, costs = ESTIMATES[name]
    estimate = estimate_security(instance)
    for attack, bits in costs.items():
        assert getattr(estimate, attack) == pytest.approx(bits, abs=0.3), attack


@pytest.mark.parametrize(("bits", "secret"), LARGEST_MODULUS_BITS)
def test_the_tables_of_the_guidelines(bits, secret):
    """The largest modulus of each ring is theirs, to the bit in most cases and to 2 % in all."""
    for degree, published in LARGEST_MODULUS_BITS[bits, secret].items():
        slack = math.ceil(0.02 * published)
        assert security_bits(degree, published - slack, 3.19, secret) >= bits
        assert security_bits(degree, published + slack, 3.19, secret) < bits


AUDIT = {
    "lwe fast, bdd": (LWEInstance(1024, 26, sent_noise(26), "ternary"), "bdd", 132.7),
    "lwe fast, dual": (LWEInstance(1024, 26, sent_noise(26), "ternary"), "dual", 131.9),
    "lwe fast, any of 2^30 secrets": (LWEInstance(1024, 26, sent_noise(26), "ternary", 2**30), "bits", 129.2),
    "lwe precise": (LWEInstance(2048, 32, sent_noise(32), "ternary"), "bdd", 263),
    "ring of degree 2048": (LWEInstance(2048, 53, 3.2, "ternary"), "bits", 128.8),
    "ring of degree 4096": (LWEInstance(4096, 106, 3.2, "ternary"), "bits", 128.9),
    "ring of degree 8192": (LWEInstance(8192, 214, 3.2, "ternary"), "bits", 128.3),
    "tfhe, LWE key": (LWEInstance(688, 64, concrete_noise_std(688), "binary"), "bits", 128.3),
    "tfhe, GLWE key": (LWEInstance(2048, 64, concrete_noise_std(2048), "binary"), "bdd", 130.4),
}


@pytest.mark.parametrize("name", AUDIT)
def test_an_audit_with_a_full_estimator_found_the_same(name):
    instance, attack, bits = AUDIT[name]
    assert getattr(estimate_security(instance), attack) == pytest.approx(bits, abs=0.5)


@pytest.mark.parametrize(("dimension", "modulus_bits"), [(1024, 26), (2048, 32)])
def test_many_secrets_cost_some_bits_but_not_their_logarithm(dimension, modulus_bits):
    costs = [security_bits(dimension, modulus_bits, 3.2, n_secrets=2**log2) for log2 in (0, 10, 20, 30, 40)]
    assert costs == sorted(costs, reverse=True) and costs[0] - costs[-1] < 10
    assert costs[0] - costs[3] > 1


@st.composite
def instances(draw):
    modulus_bits = draw(st.floats(10, 900))
    noise_std = 2.0 ** draw(st.floats(0, min(modulus_bits - 6, 60)))
    secret = draw(st.sampled_from(["binary", "ternary", "gaussian"]))
    return LWEInstance(
        draw(st.integers(256, 32768)), modulus_bits, noise_std, secret, draw(st.sampled_from([1, 2, 2**20, 2**40]))
    )


#: Block sizes and guessed coordinates are integers, so costs are steps; what is broken at once is not told apart.
STEP, BROKEN_BITS = 0.5, 64


@given(instances(), st.integers(1, 4096), st.floats(0.01, 50), st.floats(1.0, 16), st.integers(2, 2**20))
@settings(deadline=None, max_examples=60)
def test_monotone(instance, more_dimensions, more_bits, more_noise, more_secrets):
    bits = max(estimate_security(instance).bits, BROKEN_BITS)

    def changed(dimension=instance.dimension, modulus=instance.modulus_bits, noise=instance.noise_std, n_secrets=1):
        secrets = instance.n_secrets * n_secrets
        cost = estimate_security(LWEInstance(dimension, modulus, noise, instance.secret, secrets)).bits
        return max(cost, BROKEN_BITS)

    assert changed(dimension=instance.dimension + more_dimensions) >= bits - STEP
    assert changed(modulus=instance.modulus_bits + more_bits) <= bits + STEP
    assert changed(noise=instance.noise_std * more_noise) >= bits - STEP
    assert changed(n_secrets=more_secrets) <= bits + STEP


@given(instances())
@settings(deadline=None, max_examples=50)
def test_narrower_secrets_are_no_harder(instance):
    n, q, noise, n_secrets = instance.dimension, instance.modulus_bits, instance.noise_std, instance.n_secrets
    costs = [
        min(estimate_security(LWEInstance(n, q, noise, secret, n_secrets)).usvp, 1e6)
        for secret in ("binary", "ternary")
    ]
    assert costs[0] <= costs[1] + STEP


def test_no_noise_is_no_security():
    assert security_bits(32768, 64, 0.0) == security_bits(2048, 64, 1e-300, "binary") == 0
    assert security_bits(2048, 64, 0.2, "binary") < 100


@pytest.mark.parametrize(
    "values", [(0, 26, 3.2), (1024, 0, 3.2), (1024, math.inf, 3.2), (1024, 26, -1.0), (1024, 26, math.nan)]
)
def test_what_is_no_instance(values):
    with pytest.raises(ValueError, match="must be"):
        security_bits(*values)
    with pytest.raises(ValueError, match="'sparse' is unknown"):
        security_bits(1024, 26, 3.2, "sparse")
    with pytest.raises(ValueError, match="n_secrets"):
        security_bits(1024, 26, 3.2, n_secrets=0)


@given(st.integers(1, 300), st.floats(0.1, 900), st.floats(0, 2.0**80), st.sampled_from(["binary", "ternary"]))
@settings(deadline=None, max_examples=100)
def test_small_and_absurd_instances_have_an_estimate(dimension, modulus_bits, noise_std, secret):
    bits = security_bits(dimension, modulus_bits, noise_std, secret)
    assert 0 <= bits <= dimension * math.log2(3) / 2  # half of the secret is always guessed
