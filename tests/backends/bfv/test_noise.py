"""Measured noise budgets against the written model."""

import numpy as np
import pytest
import tenseal.sealapi as seal
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier, FHERandomForestClassifier
from fhe_estimators.backends.bfv.circuit.noise import NoiseSteps
from fhe_estimators.backends.bfv.evaluator.evaluation_keys import PublicKeys
from fhe_estimators.backends.bfv.evaluator.leaf_sums import LeafSums
from fhe_estimators.backends.bfv.evaluator.linear import CostEvaluator
from fhe_estimators.backends.bfv.evaluator.plaintexts import PlaintextCache
from fhe_estimators.backends.bfv.evaluator.zero_test import ZeroTestEvaluator
from fhe_estimators.backends.bfv.parameters import MARGIN_BITS, RING_DEGREES, fit_ring
from fhe_estimators.backends.messages import unpack_message
from fhe_estimators.backends.seal_file import SealFile

MODELS = {
    "shallow": FHEGradientBoostingClassifier(library="sklearn", n_estimators=20, max_depth=3, random_state=0),
    "deep": FHERandomForestClassifier(n_estimators=10, max_depth=None, random_state=0),
    "hidden": FHEGradientBoostingClassifier(
        library="sklearn", n_estimators=20, max_depth=3, random_state=0, quantizer="uniform"
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_budget_that_is_left_is_at_least_the_margin(name):
    """Before the switch to one prime, which has ten bits to spare by construction."""
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
        for result in sums.results():
            assert decryptor.invariant_noise_budget(result) >= MARGIN_BITS


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
