"""Measured noise against the predicted bound, on every layout."""

import numpy as np
import pytest

from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks.circuit.inputs import TERM
from fhe_estimators.backends.ckks.circuit.noise import ERROR_STDS, MAX_ERROR
from fhe_estimators.backends.ckks.client import CKKSClient
from fhe_estimators.backends.ckks.simulation import simulate_leaf_sums
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.quantizers import QuantileQuantizer, ThresholdQuantizer
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows


def errors(program, codes, n_keys=3):
    """Errors of leaf sums before rounding, over several keys, shape (n_keys, n_rows, n_scores)."""
    expected, collected = sum_leaves(program.ensemble, codes), []
    evaluator = CKKSBackend().evaluator(program)
    for _ in range(n_keys):
        client = CKKSClient(program.client_spec)
        keys = client.generate_keys()
        response = evaluator.run(client.encrypt(codes), keys)
        np.testing.assert_array_equal(client.decrypt(response), expected)
        collected.append(client.rounding_errors(response))
    return np.array(collected)


def program_of(layout="auto", quantizer=None, **options):
    rng = np.random.default_rng(1)
    options = {"n_features": 6, "n_trees": 8, "leaf_probability": 0.1, **options}
    rows = random_rows(rng, 4096, n_features=6)
    if quantizer is None:
        ensemble = random_ensemble(rng, **options)
        quantizer = ThresholdQuantizer(ensemble).fit()
    else:
        quantizer.fit(rows)
        ensemble = random_ensemble(rng, n_thresholds=2**quantizer.n_bits - 1, **options)
    backend = CKKSBackend(layout)
    return backend.compile(backend.quantize(ensemble, quantizer), quantizer), quantizer.transform(rows)


@pytest.mark.parametrize("n_rows", [1, 40, 500, 4096])
@pytest.mark.parametrize(
    "options",
    [
        {"depth": 1},
        {"depth": 3},
        {"depth": 3, "width": 3},
        {"depth": 4},
        {"depth": 5, "layout": "rows"},
        {"depth": 6, "n_trees": 3},
        {"depth": 3, "quantizer": QuantileQuantizer(3)},
        {"depth": 2, "quantizer": QuantileQuantizer(4), "n_trees": 3},
    ],
    ids=str,
)
def test_errors_stay_within_the_bound(options, n_rows):
    program, codes = program_of(**options)
    measured = errors(program, codes[:n_rows])
    predicted = program.predicted_error_std()
    assert ERROR_STDS * predicted <= MAX_ERROR
    assert np.abs(measured).max() <= ERROR_STDS * predicted
    if n_rows >= 500:
        assert measured.std() <= predicted


@pytest.mark.parametrize("options", [{"depth": 3}, {"depth": 6, "n_trees": 3}], ids=str)
def test_simulation_is_as_noisy_as_predicted(options):
    program, codes = program_of(**options)
    simulated = simulate_leaf_sums(program, codes, np.random.default_rng(0)) - sum_leaves(program.ensemble, codes)
    assert 0 < simulated.std() <= program.predicted_error_std()
    np.testing.assert_array_equal(
        CKKSBackend().simulate(program, codes[:300]), sum_leaves(program.ensemble, codes[:300])
    )


def test_pairs_share_ciphertexts():
    program, _ = program_of(depth=3)
    assert program.packing.uses_pairs
    for expansion in (0, 3):
        places = [place for group in program.packing.groups(expansion) for place in group.places]
        assert sorted(index for place in places for index in place) == np.flatnonzero(program.packing.levels).tolist()
        for pair in (place for place in places if len(place) == 2):
            assert np.all(program.packing.roles[list(pair)] == TERM)
