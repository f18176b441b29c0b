"""The circuit is the ensemble, exactly, no larger than it need be, and of logarithmic depth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.backends.ckks import CKKSBackend
from fhe_estimators.backends.ckks.circuit.comparisons import comparisons_of_ensemble as table_of
from fhe_estimators.backends.ckks.circuit.inputs import FACTOR
from fhe_estimators.backends.ckks.circuit.levels import factor_level, schedule
from fhe_estimators.backends.ckks.circuit.merged_trees import CONSTANT, imaginary_bounds
from fhe_estimators.backends.ckks.circuit.products import Affine, products_of
from fhe_estimators.ensembles import TreeEnsemble, sum_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.quantizers import ThresholdQuantizer, quantize_leaves
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble

N_THRESHOLDS = 7


def evaluate(affine: Affine, bits: np.ndarray) -> np.ndarray:
    """A circuit by its definition, on integers (or on Gaussian integers, for pairs)."""
    value = np.full(len(bits), affine.linear.get(CONSTANT, 0)).astype(bits.dtype)
    for test, coefficient in affine.linear.items():
        if test != CONSTANT:
            value += coefficient * bits[:, test]
    for product, coefficient in affine.products.items():
        value += coefficient * evaluate(product.indicator, bits) * evaluate(product.value, bits)
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


def all_codes(allow_nan=True):
    return np.stack(np.meshgrid(*[np.arange(-1 if allow_nan else 0, 8)] * 2), axis=-1).reshape(-1, 2)


def comparison_bits(table, codes):
    """Results of all comparisons, shape (n_samples, n_comparisons)."""
    inputs = table.inputs.bits(codes).astype(np.int64)
    return np.column_stack([np.zeros(len(codes), dtype=np.int64), *[compose(r, inputs) for r in table.recipes]])[:, 1:]


@settings(deadline=None, max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    depth=st.integers(0, 8),
    n_trees=st.integers(1, 5),
    allow_nan=st.booleans(),
    code_bits=st.sampled_from([None, 3, 4]),
)
def test_the_circuit_equals_the_trees(seed, depth, n_trees, allow_nan, code_bits):
    options = {"leaf_probability": 0.3, "n_features": 2, "allow_nan": allow_nan}
    ensemble = integer_ensemble(seed, depth=depth, n_trees=n_trees, **options)
    codes = all_codes(allow_nan)
    table = table_of(ensemble, code_bits)
    plan = schedule(ensemble, table)
    np.testing.assert_array_equal(
        evaluate(plan.outputs[0], comparison_bits(table, codes)), sum_leaves(ensemble, codes)[:, 0]
    )
    height = plan.sums[0].height
    assert plan.outputs[0].depth <= max(0, height - 1).bit_length() and height <= ensemble.depth


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 7), n_trees=st.integers(1, 5))
def test_effects_bound_what_products_do(seed, depth, n_trees):
    """Moving a product by one moves the score by no more than its effect: what the noise bound counts on."""
    ensemble = integer_ensemble(seed, depth=depth, n_trees=n_trees, n_features=2, leaf_probability=0.3)
    table = table_of(ensemble, None)
    plan = schedule(ensemble, table)
    bits = comparison_bits(table, all_codes())

    def value(affine, moved):
        total = np.full(len(bits), affine.linear.get(CONSTANT, 0))
        for test, coefficient in affine.linear.items():
            if test != CONSTANT:
                total += coefficient * bits[:, test]
        for product, coefficient in affine.products.items():
            factors = value(product.indicator, moved) * value(product.value, moved)
            total += coefficient * (factors + (product is moved))
        return total

    exact = value(plan.outputs[0], None)
    for product in plan.products[:12]:
        assert np.abs(value(plan.outputs[0], product) - exact).max() <= product.effect
        assert np.abs(value(product.value, None)).max() <= product.bound


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), depth=st.integers(1, 6), n_trees=st.integers(1, 6))
def test_pairs_leave_real_parts_alone(seed, depth, n_trees):
    """Whatever travels in the imaginary parts of terms, scores are right and imaginary parts within their bound."""
    ensemble = integer_ensemble(seed, depth=depth, n_trees=n_trees, n_features=2, leaf_probability=0.3)
    table = table_of(ensemble, None)
    plan = schedule(ensemble, table)
    codes, rng = all_codes(), np.random.default_rng(seed)
    terms = (plan.comparison_roles != FACTOR) & (plan.comparison_levels > 0)
    bits = comparison_bits(table, codes) + 1j * rng.integers(0, 2, size=(len(codes), len(table))) * terms
    values = evaluate(plan.outputs[0], bits)
    np.testing.assert_array_equal(values.real, sum_leaves(ensemble, codes)[:, 0])
    bound = imaginary_bounds(plan.sums, terms)
    assert np.abs(values.imag).max() <= bound
    for product in plan.products:
        assert not np.iscomplex(evaluate(product.indicator, bits)).any()
        assert np.abs(evaluate(product.value, bits).imag).max() <= bound


def test_trees_with_the_same_root_share_products():
    one = integer_ensemble(3, depth=3, n_trees=1, leaf_probability=0)
    plan = schedule(one, table_of(one, None))
    assert len(plan.products) <= 3, "a full tree of depth 3 has three branches over branches or bits"


@pytest.mark.parametrize("depth", [3, 4, 5, 8])
def test_depth_is_logarithmic_and_products_are_few(depth):
    full = integer_ensemble(0, depth=depth, n_trees=1, leaf_probability=0, n_features=300)
    plan = schedule(full, table_of(full, None))
    assert plan.n_levels == (depth - 1).bit_length()
    from_leaves = 2 ** (depth - 1) - 1
    assert from_leaves <= len(plan.products) <= 1.6 * from_leaves


@pytest.mark.parametrize("seed", range(5))
def test_levels_fit_the_uses(seed):
    ensemble = integer_ensemble(seed, depth=6, n_trees=4, leaf_probability=0.3)
    plan = schedule(ensemble, table_of(ensemble, None))
    assert plan.n_levels == max(output.depth for output in plan.outputs)
    assert set(plan.products) == set(products_of(plan.outputs))
    for output in plan.outputs:
        assert all(plan.comparison_levels[test] >= 1 for test in output.linear if test != CONSTANT)
    for product in plan.products:
        assert 1 <= product.level <= plan.n_levels
        for factor, _ in product.operands():
            at = factor_level(factor, product.level)
            assert all(below.level >= at for below in factor.products)
            assert all(plan.comparison_levels[test] >= at for test in factor.linear if test != CONSTANT)


def test_equal_sides_cost_nothing():
    """A node whose children are the same tree decides nothing, and is merged away."""
    child = integer_ensemble(1, depth=2, n_trees=1, leaf_probability=0)
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
    assert len(plan.products) == len(schedule(child, table_of(child, None)).products)
    codes = np.random.default_rng(0).integers(-1, 8, size=(200, child.n_features))
    np.testing.assert_array_equal(sum_leaves(tree, codes), sum_leaves(child, codes))


def opposed_trees(n_trees=4):
    """Trees of depth 2 with a common root and tests of their own below, whose leaves are as far apart as can be."""
    leaf, low, high = [-1], -0.99 / n_trees, 0.99 / n_trees
    left, right, values = [1, 3, 5, *leaf * 4], [2, 4, 6, *leaf * 4], [0, 0, 0, low, high, high, low]
    n_nodes = 7 * n_trees

    def children(of_tree):
        return np.concatenate([[c + 7 * tree if c >= 0 else c for c in of_tree] for tree in range(n_trees)])

    inner = children(left) >= 0
    return TreeEnsemble(
        n_features=1,
        n_scores=1,
        tree_offsets=7 * np.arange(n_trees + 1),
        tree_columns=np.zeros(n_trees, dtype=np.int32),
        feature=np.where(inner, 0, -1).astype(np.int32),
        threshold=np.where(np.arange(n_nodes) % 7, np.arange(n_nodes) + 0.5, 0.5),
        left=children(left).astype(np.int32),
        right=children(right).astype(np.int32),
        missing_right=np.zeros(n_nodes, dtype=bool),
        value=np.tile(values, n_trees)[:, None].astype(np.float64),
        base_score=np.zeros(1),
        link=IdentityLink(),
    )


def test_no_pairs_where_imaginary_parts_would_wrap_around():
    """Differences of opposed sides are four times a sum in the imaginary parts: the modulus has no room for that."""
    ensemble = opposed_trees()
    quantizer, backend = ThresholdQuantizer(ensemble).fit(), CKKSBackend()
    program = backend.compile(backend.quantize(ensemble, quantizer), quantizer)
    paired = (program.schedule.comparison_roles != FACTOR) & (program.schedule.comparison_levels > 0)
    bound = imaginary_bounds(program.schedule.sums, paired)
    assert paired.sum() >= 4 and bound > 3 * 2.0**program.parameters.score_bits
    assert not program.packing.uses_pairs
    fits = program.parameters.fits
    assert fits(2.0 ** (program.parameters.score_bits + 1)) and not fits(2.0 ** (program.parameters.score_bits + 2))
