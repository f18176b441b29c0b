"""Measured noise budgets against the written model."""

import numpy as np
import pytest
import tenseal.sealapi as seal
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier, FHERandomForestClassifier
from fhe_estimators.backends.bfv._context import BFVContext
from fhe_estimators.backends.bfv.circuit.noise import NoiseSteps
from fhe_estimators.backends.bfv.evaluator.evaluation_keys import PublicKeys
from fhe_estimators.backends.bfv.evaluator.leaf_sums import LeafSums
from fhe_estimators.backends.bfv.evaluator.linear import CostEvaluator
from fhe_estimators.backends.bfv.evaluator.plaintexts import PlaintextCache
from fhe_estimators.backends.bfv.evaluator.zero_test import ZeroTestEvaluator
from fhe_estimators.backends.bfv.parameters import MARGIN_BITS, PLAIN_MODULUS, RING_DEGREES, BFVParameters, fit_ring
from fhe_estimators.backends.messages import unpack_message
from fhe_estimators.backends.seal.file import SealFile

MODELS = {
    "shallow": FHEGradientBoostingClassifier(library="sklearn", n_estimators=20, max_depth=3, random_state=0),
    "deep": FHERandomForestClassifier(n_estimators=10, max_depth=None, random_state=0),
    "hidden": FHEGradientBoostingClassifier(
        library="sklearn", n_estimators=20, max_depth=3, random_state=0, quantizer="uniform"
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_budget_that_is_left_is_at_least_the_margin(name):
    """And at least what `describe` says: before the switch to one prime, and after it."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = MODELS[name].set_params(backend="bfv").fit(X, y).compile()
    program, client = clf.program_, clf.backend_.client(clf.program_.client_spec)
    keys = PublicKeys(program, client.generate_keys())
    decryptor = seal.Decryptor(keys.context.seal_context, client._require_keys().secret)
    n_rows = program.layout(1000).n_samples
    for rows in (X[:1], X[:n_rows]):
        layout = program.layout(len(rows))
        blob = unpack_message("request", client.encrypt(clf.quantize(rows)))[1][0]
        cache = PlaintextCache(8 * layout.degree * len(program.parameters.prime_bits))
        costs, sums = CostEvaluator(program, keys, layout, cache), LeafSums(program, keys, layout, cache)
        with SealFile() as file:
            rotated = costs.rotated_bits(file.load(seal.Ciphertext(), keys.context, blob, "ciphertext"))
        sums.add(ZeroTestEvaluator(program, keys).indicators(costs.costs(rotated, 0)), 0)
        for total in sums._totals:
            sums.evaluator.transform_from_ntt_inplace(total)
            budget = decryptor.invariant_noise_budget(total)
            assert budget >= MARGIN_BITS
            sums.evaluator.transform_to_ntt_inplace(total)
        told = program.describe()["noise_budget_bits"]
        for result in sums.results():
            assert decryptor.invariant_noise_budget(result) >= int(told) >= MARGIN_BITS


@pytest.mark.parametrize(("degree", "bits", "n_products"), [(8192, (43, 41, 41, 41), 3), (16384, (57,) * 6, 6)])
def test_products_take_what_the_model_says_and_not_much_less(degree, bits, n_products):
    """One after another, of factors that are functions of the same costs: the noise of all is correlated."""
    context, rng = BFVContext(BFVParameters(degree, bits, bits[-1])), np.random.default_rng(0)
    generator, evaluator = seal.KeyGenerator(context.seal_context), seal.Evaluator(context.seal_context)
    secret = generator.secret_key()
    with SealFile() as file:
        relin_keys = file.load(seal.RelinKeys(), context, file.dump(generator.create_relin_keys()), "key")
        fresh = seal.Encryptor(context.seal_context, secret).encrypt_symmetric(context.encode(np.ones(degree, int)))
        current = file.load(seal.Ciphertext(), context, file.dump(fresh), "ciphertext")

    def uniform():
        return context.encode(rng.integers(0, PLAIN_MODULUS, degree))

    evaluator.multiply_plain_inplace(current, uniform())  # noise like that of costs
    decryptor = seal.Decryptor(context.seal_context, secret)
    before = decryptor.invariant_noise_budget(current)
    for _ in range(n_products):
        other, product = seal.Ciphertext(), seal.Ciphertext()
        evaluator.add_plain(current, uniform(), other)
        evaluator.multiply(current, other, product)
        evaluator.relinearize_inplace(product, relin_keys)
        current = product
    taken = before - decryptor.invariant_noise_budget(current)
    steps = [NoiseSteps(1, 1, 0, depth, 1).consumed_bits(degree, 16, 3) for depth in (0, n_products)]
    assert steps[1] - steps[0] - 3 < taken <= steps[1] - steps[0] + 1, "budgets are whole bits"


@pytest.mark.parametrize("degree", RING_DEGREES)
def test_parameters_grow_with_depth_until_none_fit(degree):
    sizes = []
    for depth in range(30):
        found = fit_ring(degree, NoiseSteps(16, 512, 6, depth, 1))
        if found is None:
            break
        sizes.append(sum(found.coeff_modulus_bits))
    assert len(sizes) > 1 and sizes == sorted(sizes)
    assert found is None


def test_masks_add_up_to_zero_and_differ():
    X, y = load_breast_cancer(return_X_y=True)
    clf = MODELS["shallow"].set_params(backend="bfv").fit(X, y).compile()
    client = clf.backend_.client(clf.program_.client_spec)
    keys = PublicKeys(clf.program_, client.generate_keys())
    layout = clf.program_.layout(4)
    cache = PlaintextCache(1)
    masks = [LeafSums(clf.program_, keys, layout, cache)._zero_sum_mask() for _ in range(2)]
    for mask in masks:
        np.testing.assert_array_equal(layout.sum_by_sample(mask, 65537), 0)
        assert mask.min() >= 0 and mask.max() < 65537 and len(np.unique(mask)) > 0.9 * layout.n_lanes > 1
    assert (masks[0] != masks[1]).mean() > 0.9
