"""The circuit in the clear: boxes, slots, diagonals, digits and the zero test."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends.bfv.circuit.boxes import leaf_costs
from fhe_estimators.backends.bfv.circuit.diagonals import block_diagonals, leaf_slots
from fhe_estimators.backends.bfv.circuit.digits import (
    digit_bits_for,
    joined_digits,
    leaf_digits,
    leaf_values,
    trees_of_a_score,
)
from fhe_estimators.backends.bfv.circuit.layout import layout_for
from fhe_estimators.backends.bfv.circuit.steps import baby_steps_for
from fhe_estimators.backends.bfv.circuit.zero_test import ZeroTest
from fhe_estimators.backends.bfv.parameters import PLAIN_MODULUS
from fhe_estimators.ensembles import decision_leaves
from fhe_estimators.exceptions import ParameterSelectionError
from fhe_estimators.quantizers import ThresholdQuantizer, UniformQuantizer, quantize_leaves
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows


def quantized(seed, *, hidden, allow_nan=True, **options):
    """A random ensemble in integers, the quantizer's hidden bits, and codes of rows."""
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 200)
    rows = rows if allow_nan else np.nan_to_num(rows)
    quantizer = UniformQuantizer(3).fit(rows) if hidden else None
    thresholds = {"n_thresholds": 7} if hidden else {}
    options = {"n_trees": 5, "leaf_probability": 0.2, **options}
    ensemble = random_ensemble(rng, allow_nan=allow_nan, **thresholds, **options)
    quantizer = quantizer or ThresholdQuantizer(ensemble).fit()
    integers = quantize_leaves(quantizer.quantize_thresholds(ensemble), 20)
    return integers, quantizer.hidden_code_bits, quantizer.transform(rows)


@pytest.mark.parametrize("allow_nan", [True, False])
@pytest.mark.parametrize("hidden", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_the_cost_of_a_leaf_is_zero_exactly_where_it_is_reached(seed, hidden, allow_nan):
    ensemble, bits, codes = quantized(seed, hidden=hidden, allow_nan=allow_nan, depth=1 + seed % 7)
    found = leaf_costs(ensemble, bits)
    matrix = np.zeros((len(found.node), len(found.bits)), dtype=np.int64)
    matrix[found.leaf, found.bit] = found.coefficient
    costs = found.bits.bits(codes).astype(np.int64) @ matrix.T + found.constant
    assert costs.min() >= 0 and (costs <= found.n_features).all()
    reached = np.zeros((len(codes), ensemble.n_nodes), dtype=bool)
    np.put_along_axis(reached, decision_leaves(ensemble, codes), True, axis=1)
    np.testing.assert_array_equal(costs == 0, reached[:, found.node])
    assert reached[:, found.node].sum() == reached.sum()  # no leaf that was dropped is ever reached


@pytest.mark.parametrize("hidden", [True, False])
def test_the_bits_that_a_client_sends_hide_the_thresholds_or_are_those_used(hidden):
    ensemble, bits, _ = quantized(0, hidden=hidden, depth=4)
    other, _, _ = quantized(1, hidden=hidden, depth=4)
    tables = [leaf_costs(e, bits).bits for e in (ensemble, other)]
    same = [np.array_equal(*(getattr(table, name) for table in tables)) for name in ("feature", "threshold")]
    assert same == [hidden, hidden]


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(1, 7),
    hidden=st.booleans(),
    n_rows=st.integers(1, 9),
    degree=st.sampled_from([64, 128, 256, 1024]),
)
def test_diagonals_times_rotations_are_the_costs(seed, depth, hidden, n_rows, degree):
    """The evaluation of `CostEvaluator`, with vectors in the place of ciphertexts."""
    ensemble, bits, codes = quantized(seed, hidden=hidden, depth=depth)
    costs, codes = leaf_costs(ensemble, bits).dependent(), codes[:n_rows]
    if 2 * len(costs.bits) > degree or not len(costs.node):
        return
    layout = layout_for(degree, len(costs.bits), len(costs.node), n_rows)
    n_blocks = -(-len(costs.node) // (layout.n_out * layout.n_segments))
    baby = baby_steps_for(layout, n_blocks)

    def rotate(slots, positions):
        return np.roll(slots.reshape(2, -1), -positions * layout.lanes_per_half, axis=1).ravel()

    def rotate_lanes(slots, lanes):
        halves = slots.reshape(2, -1)
        return (halves[::-1] if lanes == layout.lanes_per_half else np.roll(halves, -lanes, axis=1)).ravel()

    batch = codes[: layout.n_samples]
    spread = layout.spread(costs.bits.bits(batch))
    matrix = np.zeros((len(costs.node), len(costs.bits)), dtype=np.int64)
    matrix[costs.leaf, costs.bit] = costs.coefficient
    expected = costs.bits.bits(batch).astype(np.int64) @ matrix.T + costs.constant
    for block in range(n_blocks):
        diagonals = block_diagonals(costs, layout, block, baby)
        total = np.zeros(degree, dtype=np.int64)
        for giant in reversed(range(-(-layout.n_diagonals // baby))):
            total = rotate(total, baby)
            for step in range(baby):
                plain = diagonals.plain(giant * baby + step, degree, PLAIN_MODULUS)
                total = total + (0 if plain is None else plain * rotate(spread, step))
        for lanes in layout.share_folds:
            total = total + rotate_lanes(total, lanes)
        for positions in layout.stretch_folds:
            total = total + rotate(total, positions)
        total = (total + diagonals.constant) % PLAIN_MODULUS
        leaves = np.arange(len(costs.node)) + 1
        where = leaf_slots(layout, leaves, block)
        for slot in np.flatnonzero(where):
            half, position = divmod(slot, degree // 2)
            lane = half * layout.lanes_per_half + position % layout.lanes_per_half
            sample = lane // (layout.n_segments * layout.n_shares)
            if sample < len(batch):
                assert total[slot] == expected[sample, where[slot] - 1]


@pytest.mark.parametrize("largest", [*range(1, 18), 31, 32, 100])
def test_the_zero_test(largest):
    test = ZeroTest(largest, PLAIN_MODULUS)
    for cost in range(largest + 1):
        if test.is_linear:
            value = 1 - cost
        else:
            common = cost * (cost - (test.even + 1))
            value = test.factor
            for constant in test.constants:
                value = value * (common + constant) % PLAIN_MODULUS
        assert value % PLAIN_MODULUS == (cost == 0)
    assert test.depth == max(0, largest - 1).bit_length()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 200))
def test_sums_of_digits_are_sums_of_values(seed, n_trees):
    ensemble, _, codes = quantized(seed, hidden=False, depth=2, n_trees=n_trees)
    bits = digit_bits_for(n_trees, PLAIN_MODULUS)
    node = np.flatnonzero(ensemble.is_leaf)
    digits, values = leaf_digits(ensemble, node, bits), leaf_values(ensemble, node)
    np.testing.assert_array_equal(joined_digits(digits.transpose(0, 2, 1), bits), values)
    number = np.searchsorted(node, decision_leaves(ensemble, codes))
    sums = digits[:, :, number].sum(axis=-1)  # scores, digits, rows
    assert np.abs(sums).max() <= PLAIN_MODULUS // 2
    np.testing.assert_array_equal(joined_digits(sums.transpose(0, 2, 1), bits), values[:, number].sum(axis=-1))


def test_digits_have_room_for_the_trees_of_one_class_and_not_of_all():
    rng = np.random.default_rng(0)
    of_classes = random_ensemble(rng, n_trees=12, depth=2, n_scores=4)
    assert trees_of_a_score(of_classes) == np.bincount(of_classes.tree_columns).max() < 12
    together = random_ensemble(rng, n_trees=12, depth=2, n_scores=4, width=4)
    assert trees_of_a_score(together) == 12


def test_too_many_trees_for_the_plain_modulus():
    assert digit_bits_for(PLAIN_MODULUS // 2, PLAIN_MODULUS) == 1
    with pytest.raises(ParameterSelectionError, match="too small for 40000 trees"):
        digit_bits_for(40_000, PLAIN_MODULUS)
