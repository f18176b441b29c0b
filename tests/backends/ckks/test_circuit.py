"""The merged circuit is the ensemble, exactly, and no larger."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends.ckks._polynomial import CONSTANT, Sum, total_linear
from fhe_estimators.backends.ckks._schedule import difference_level, iterate_branches, schedule
from fhe_estimators.backends.ckks._tests import tests_of_ensemble as table_of
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.quantizers import quantize_leaves
from tests.random_trees import random_ensemble

N_THRESHOLDS = 7


def evaluate(total: Sum, bits: np.ndarray) -> np.ndarray:
    """The branches by their definition, in integers."""
    value = np.full(len(bits), total.constant)
    for test, coefficient in total.linear.items():
        value += coefficient * bits[:, test]
    for branch in total.branches:
        low, high = evaluate(branch.low, bits), evaluate(branch.high, bits)
        value += np.where(bits[:, branch.test] == 1, high, low)
    return value


def compose(recipe, inputs):
    equal = inputs[:, recipe.equal].sum(axis=1)
    equal = 1 - equal if recipe.complement else equal
    terms = inputs[:, recipe.terms].sum(axis=1) * (-1 if recipe.negate_terms else 1)
    return recipe.constant + terms + equal * inputs[:, recipe.above].sum(axis=1)


def integer_ensemble(seed, **options):
    ensemble = random_ensemble(
        np.random.default_rng(seed), n_thresholds=N_THRESHOLDS, integer_thresholds=True, **options
    )
    return quantize_leaves(ensemble, 12)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    depth=st.integers(0, 5),
    n_trees=st.integers(1, 8),
    allow_nan=st.booleans(),
    code_bits=st.sampled_from([None, 3, 4]),
)
def test_the_circuit_equals_the_trees(seed, depth, n_trees, allow_nan, code_bits):
    ensemble = integer_ensemble(seed, depth=depth, n_trees=n_trees, n_features=2, allow_nan=allow_nan)
    codes = np.stack(np.meshgrid(*[np.arange(-1 if allow_nan else 0, 8)] * 2), axis=-1).reshape(-1, 2)
    table = table_of(ensemble, code_bits)
    inputs = table.inputs.bits(codes).astype(np.int64)
    bits = np.column_stack([np.zeros(len(codes), dtype=np.int64), *[compose(r, inputs) for r in table.recipes]])[:, 1:]
    (total,) = schedule(ensemble, table).sums
    np.testing.assert_array_equal(evaluate(total, bits), sum_leaves(ensemble, codes)[:, 0])


def test_trees_with_the_same_root_share_one_product():
    one = integer_ensemble(3, depth=3, n_trees=1, leaf_probability=0)
    table = table_of(one, None)
    plan = schedule(one, table)
    copies = [plan.sums[0] for _ in range(2)]
    assert plan.n_products() <= 3, "a full tree of depth 3 has three branches over branches or bits"
    merged = table.of_node.copy()
    assert len(np.unique(merged[merged >= 0])) == len(table)
    assert len(list(iterate_branches(copies[0]))) == plan.n_products()


@pytest.mark.parametrize("seed", range(5))
def test_levels_fit_the_uses(seed):
    ensemble = integer_ensemble(seed, depth=5, n_trees=4, leaf_probability=0.4)
    plan = schedule(ensemble, table_of(ensemble, None))
    assert plan.n_levels == max(total.height for total in plan.sums) - 1
    for total in plan.sums:
        assert all(plan.test_levels[test] >= 1 for test in total_linear(total) if test != CONSTANT)
        for branch in iterate_branches(total):
            assert 1 <= branch.level <= difference_level(branch) <= plan.n_levels
            assert plan.test_levels[branch.test] >= branch.level
            below = [child.height for side in (branch.low, branch.high) for child in side.branches]
            assert branch.height == 1 + max([*below, 1])


def test_equal_sides_cost_nothing():
    """A node whose children are the same tree decides nothing, and is merged away."""
    child = integer_ensemble(1, depth=2, n_trees=1, leaf_probability=0)
    from fhe_estimators.ensembles import TreeEnsemble

    n = child.n_nodes

    def doubled(array, root, shift=0):
        parts = [np.where(array >= 0, array + s, array) if shift else array for s in (1, 1 + n)]
        return np.concatenate([[root], *parts]).astype(array.dtype)

    tree = TreeEnsemble(
        n_features=child.n_features,
        n_scores=1,
        tree_offsets=np.array([0, 2 * n + 1]),
        tree_columns=np.zeros(1, dtype=np.int32),
        feature=doubled(child.feature, 0),
        threshold=doubled(child.threshold, 3),
        left=doubled(child.left, 1, shift=1),
        right=doubled(child.right, 1 + n, shift=1),
        missing_right=doubled(child.missing_right, False),
        value=np.concatenate([np.zeros((1, 1), dtype=np.int64), child.value, child.value]),
        base_score=child.base_score,
        link=child.link,
        allow_nan=True,
    )
    plan = schedule(tree, table_of(tree, None))
    assert plan.n_products() == schedule(child, table_of(child, None)).n_products()
    codes = np.random.default_rng(0).integers(-1, 8, size=(200, child.n_features))
    np.testing.assert_array_equal(sum_leaves(tree, codes), sum_leaves(child, codes))
