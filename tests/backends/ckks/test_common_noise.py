"""The error that all bits unpacked with a key share: it adds as a sum, not as a root of squares."""

import numpy as np
import pytest

from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks.circuit.comparisons import comparisons_of_ensemble
from fhe_estimators.backends.ckks.circuit.merged_trees import merge_trees
from fhe_estimators.backends.ckks.circuit.noise import (
    ERROR_STDS,
    MAX_ERROR,
    bit_sensitivities,
    path_sensitivity,
    values_of_a_row,
)
from fhe_estimators.backends.ckks.circuit.ring_noise import RingNoise
from fhe_estimators.backends.ckks.circuit.slots import (
    digit_mean_gains,
    largest_expansion,
    row_places,
    rows_per_batch,
    slot_roots,
)
from fhe_estimators.backends.ckks.simulation import simulate_leaf_sums
from fhe_estimators.ensembles import TreeEnsemble, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.quantizers import ThresholdQuantizer, quantize_leaves
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble
from tests.backends.ckks.test_noise import errors


def stumps(steps):
    """A tree of one comparison for each step: its leaves are 0 and the step."""
    root, leaf = 3 * np.arange(len(steps)), np.full(len(steps), -1)

    def nodes(*columns, dtype=np.int32):
        return np.stack(columns, axis=1).reshape(-1).astype(dtype)

    return TreeEnsemble(
        n_features=1,
        n_scores=1,
        tree_offsets=3 * np.arange(len(steps) + 1),
        tree_columns=np.zeros(len(steps), dtype=np.int32),
        feature=nodes(0 * leaf, leaf, leaf),
        threshold=nodes(root / 3 + 0.5, 0 * leaf, 0 * leaf, dtype=np.float64),
        left=nodes(root + 1, leaf, leaf),
        right=nodes(root + 2, leaf, leaf),
        missing_right=np.zeros(3 * len(steps), dtype=bool),
        value=nodes(0 * leaf, 0 * leaf, steps, dtype=np.float64)[:, None],
        base_score=np.zeros(1),
        link=IdentityLink(),
    )


def compact_stumps(n_stumps, signs):
    """A program of stumps, and codes of as many rows as a small request holds."""
    index = np.arange(n_stumps)
    # Stumps travel in pairs, two at a place. The error of the first round has the sign of the place's parity.
    steps = {"monotone": np.ones(n_stumps), "aligned": np.where(index // 2 % 2, -1.0, 1.0)}[signs]
    ensemble = stumps(steps)
    quantizer, backend = ThresholdQuantizer(ensemble).fit(), CKKSBackend("compact")
    program = backend.compile(backend.quantize(ensemble, quantizer), quantizer)
    assert program.packing.uses_pairs
    n_rows = program.describe()["rows_per_small_request"]
    return program, quantizer.transform(np.linspace(-1, n_stumps + 1, n_rows)[:, None])


@pytest.mark.parametrize(("n_stumps", "signs"), [(250, "monotone"), (250, "aligned"), (1000, "aligned")])
def test_errors_of_stumps_stay_within_the_bound(n_stumps, signs):
    """In every row, the loudest included; with the signs that align, bits fail to round if errors add as squares."""
    program, codes = compact_stumps(n_stumps, signs)
    measured, predicted = errors(program, codes, n_keys=4), program.predicted_error_std()
    assert ERROR_STDS * predicted <= MAX_ERROR
    assert np.abs(measured).max() <= 4 * predicted
    assert measured.std(axis=0).max() <= predicted


def test_the_bound_is_not_far_from_aligned_errors():
    """The loudest row of stumps whose errors align comes near the bound: no smaller one would hold."""
    program, codes = compact_stumps(250, "aligned")
    ring = RingNoise(program.parameters.poly_modulus_degree, program.parameters.coeff_modulus_bits)
    common = ring.common_bit(program.parameters.expansion_log2).max()
    independent = ring.bit(program.parameters.expansion_log2)
    assert common * 250 > 3 * independent * 250**0.5, "the common part decides here"
    loudest = errors(program, codes, n_keys=8)[:, -4:]
    assert np.sqrt((loudest**2).mean()) >= program.predicted_error_std() / 10


def test_simulated_noise_is_joint():
    """Errors of a row are shared by all bits: aligned steps see them, and monotone ones much less."""
    rms = {}
    for signs in ("aligned", "monotone"):
        program, codes = compact_stumps(250, signs)
        exact, rng = sum_leaves(program.ensemble, codes), np.random.default_rng(0)
        simulated = np.array([simulate_leaf_sums(program, codes, rng) - exact for _ in range(30)])
        rms[signs] = np.sqrt((simulated[:, -4:] ** 2).mean()) / 2.0**program.parameters.score_bits
        measured = errors(program, codes, n_keys=8)[:, -4:] / 2.0**program.parameters.score_bits
        assert 0.4 <= rms[signs] / np.sqrt((measured**2).mean()) <= 2.5
        assert np.abs(simulated).max() <= ERROR_STDS * program.predicted_error_std()
    assert rms["aligned"] > 2 * rms["monotone"]


@pytest.mark.parametrize("expansion", [1, 4, 7])
def test_rows_take_the_quietest_slots(expansion):
    degree = 8192
    n_slots = degree // 2
    ones = np.polyval(np.ones(degree), slot_roots(degree)[:16])
    np.testing.assert_allclose(2 / (1 - slot_roots(degree)[:16]), ones, rtol=1e-8)
    places, gains = row_places(degree, expansion), digit_mean_gains(degree, expansion)
    n_orbits = n_slots >> expansion
    assert len(places) == len(set(places)) == len(gains) == rows_per_batch(n_slots, expansion) == n_orbits * 7 // 8
    of_orbits = np.sqrt((np.abs(2 / (1 - slot_roots(degree))) ** 2).reshape(2**expansion, -1).sum(axis=0))
    unused = np.delete(of_orbits, places)
    assert gains.max() <= unused.min() and unused.max() > 4 * gains.max()
    assert gains[0] == of_orbits.min()
    # A row more than fits takes the next packing.
    assert largest_expansion(len(places), n_slots, 7) == expansion
    assert largest_expansion(len(places) + 1, n_slots, 7) == expansion - 1


@pytest.mark.parametrize("seed", range(4))
def test_what_a_row_can_feel_is_bounded_by_its_path(seed):
    """Against all rows there are: the effects of an error in each node, and the values on a row's way."""
    rng = np.random.default_rng(seed)
    ensemble = random_ensemble(rng, n_features=2, depth=5, n_trees=3, n_thresholds=7, integer_thresholds=True)
    ensemble = quantize_leaves(ensemble, 12)
    codes = np.stack(np.meshgrid(*[np.arange(-1, 8)] * 2), axis=-1).reshape(-1, 2)
    inner = np.flatnonzero(~ensemble.is_leaf)

    def value(node, code):
        while ensemble.left[node] >= 0:
            node = child(node, code)
        return ensemble.value[node, 0]

    def child(node, code):
        c = code[ensemble.feature[node]]
        right = ensemble.missing_right[node] if c == -1 else c > ensemble.threshold[node]
        return (ensemble.right if right else ensemble.left)[node]

    def effects(code):
        total, visited, of_comparison = 0, 0, np.zeros(len(index))
        for root in ensemble.tree_offsets[:-1]:
            node = root
            while ensemble.left[node] >= 0:
                effect = abs(value(ensemble.right[node], code) - value(ensemble.left[node], code))
                total += effect
                of_comparison[of_node[node]] += effect
                visited += 1
                node = child(node, code)
        return total, visited, (of_comparison**2).sum()

    table = comparisons_of_ensemble(ensemble, None)
    of_node, index = table.of_node, np.arange(len(table))
    alike, visited, squared = (max(column) for column in zip(*map(effects, codes), strict=True))
    bound = path_sensitivity(ensemble, of_node, np.ones((len(table), 1)))[0]
    assert alike <= bound <= 10 * alike
    bound = path_sensitivity(ensemble, of_node, bit_sensitivities(ensemble, of_node, len(table)))[0]
    assert squared <= bound <= 100 * squared
    of_node[inner] = np.arange(len(inner))  # so that nothing is merged
    (total,) = merge_trees(ensemble, of_node, {})
    assert values_of_a_row(total) <= visited
