"""Rounding of leaf values."""

from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fhe_estimators.ensembles import LEAF, TreeEnsemble, evaluate
from fhe_estimators.ensembles.links import ExpLink, IdentityLink, SoftmaxLink
from fhe_estimators.quantizers import (
    TARGET_SCORE_ERROR,
    quantize_leaves,
    relative_score_error,
    score_bits_for,
    score_error_bound,
)
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble


def forest_of_leaves(values):
    """Trees of one comparison, with the given leaf values of shape (n_trees, 2)."""
    n = len(values)
    roots = np.arange(0, 3 * n, 3)
    feature, left, right = (np.full(3 * n, LEAF, dtype=np.int32) for _ in range(3))
    feature[roots], left[roots], right[roots] = 0, roots + 1, roots + 2
    value = np.zeros((3 * n, 1))
    value[roots + 1, 0], value[roots + 2, 0] = values[:, 0], values[:, 1]
    return TreeEnsemble(
        n_features=1,
        n_scores=1,
        tree_offsets=np.arange(0, 3 * n + 1, 3),
        tree_columns=np.zeros(n, dtype=np.int32),
        feature=feature,
        threshold=np.zeros(3 * n),
        left=left,
        right=right,
        missing_right=np.zeros(3 * n, dtype=bool),
        value=value,
        base_score=np.zeros(1),
        link=IdentityLink(),
    )


leaf_values = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 20), st.just(2)),
    elements={"allow_nan": False, "min_value": -1e6, "max_value": 1e6},
)


@settings(deadline=None)
@given(values=leaf_values, score_bits=st.integers(12, 40))
def test_sums_fit_the_bits_and_errors_the_bound(values, score_bits):
    ensemble = forest_of_leaves(values)
    quantized = quantize_leaves(ensemble, score_bits)
    low, high = quantized.score_bounds()
    # Every leaf may round by half, hence the slack of one half a tree.
    assert max(abs(low).max(), abs(high).max()) <= 2 ** (score_bits - 1) + len(values) / 2
    bound = score_error_bound(ensemble, quantized)[0]
    smallest, largest = (q / quantized.score_scale + quantized.base_score for q in quantized.score_bounds())
    for found, exact in ((smallest, values.min(axis=1).sum()), (largest, values.max(axis=1).sum())):
        assert abs(found[0] - exact) <= bound + 1e-12 * np.abs(values).sum()
    assert bound <= len(values) * 0.5 / quantized.score_scale[0] + 1e-12 * np.abs(values).sum()


@settings(deadline=None)
@given(values=leaf_values)
@example(values=np.array([[5e-324, 5e-324]]))
def test_the_target_error_is_met(values):
    ensemble = forest_of_leaves(values)
    quantized = quantize_leaves(ensemble, score_bits_for(ensemble, TARGET_SCORE_ERROR))
    low, high = ensemble.score_bounds()
    # of the additions of this test and of the base score, and of leaves below the finest step
    floor = 1e-12 * np.abs(values).sum() + 2.0**-1020 * values.size
    assert score_error_bound(ensemble, quantized)[0] <= TARGET_SCORE_ERROR * (high - low)[0] + floor


def test_scale_is_a_power_of_two():
    quantized = quantize_leaves(forest_of_leaves(np.array([[0.3, -7.0]])), 20)
    mantissa, _ = np.frexp(quantized.score_scale)
    assert mantissa == 0.5 and quantized.value.dtype == np.int64


@pytest.mark.parametrize("values", [[[0.0, 1.0]], [[0.25, 0.5], [1.0, 0.0]]])
def test_dyadic_values_stay_exact(values):
    ensemble = forest_of_leaves(np.array(values))
    quantized = quantize_leaves(ensemble, 16)
    assert score_error_bound(ensemble, quantized)[0] == 0.0
    codes = np.array([[0], [1]])
    quantized = replace(quantized, threshold=quantized.threshold.astype(np.int32))
    np.testing.assert_array_equal(evaluate(quantized, codes), evaluate(ensemble, codes.astype(float)))


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-30, 1e30, 1e250, 1e300])
def test_extreme_magnitudes(size):
    quantized = quantize_leaves(forest_of_leaves(np.array([[0.0, size]])), 20)
    assert np.isfinite(quantized.score_scale) and quantized.score_scale > 0
    score = quantized.value[2, 0] / quantized.score_scale + quantized.base_score
    np.testing.assert_allclose(score, size, rtol=1e-5, atol=1e-270)


@pytest.mark.parametrize("offset", [0.0, -122.3, 1.7e9, -3e12])
def test_precision_goes_with_the_range_and_not_with_the_magnitude(offset):
    rng = np.random.default_rng(0)
    values = offset / 30 + rng.normal(size=(30, 2))
    ensemble = forest_of_leaves(values)
    quantized = quantize_leaves(ensemble, 22)
    # The leaves themselves are no finer than the spacing of floats at their size.
    assert relative_score_error(ensemble, quantized) <= 1e-5 + np.spacing(abs(offset))
    low, high = quantized.score_bounds()
    assert max(abs(low).max(), abs(high).max()) <= 2**21 + 30
    for found, exact in zip((low, high), ensemble.score_bounds(), strict=True):
        scores = found / quantized.score_scale + quantized.base_score
        np.testing.assert_allclose(scores, exact, rtol=1e-12, atol=1e-3)


def test_a_constant_column_is_exact():
    ensemble = forest_of_leaves(np.full((7, 2), 1 / 3))
    quantized = quantize_leaves(ensemble, 12)
    assert not quantized.value.any()
    assert quantized.base_score[0] == pytest.approx(7 / 3, rel=1e-15)
    assert relative_score_error(ensemble, quantized) == 0.0


@pytest.mark.parametrize(("low", "high"), [(-1.0, 1.0), (5.0, 6.0), (-30.0, 0.0)])
def test_errors_of_exponential_links_count_after_the_link(low, high):
    ensemble = replace(forest_of_leaves(np.array([[low, high]])), link=ExpLink())
    quantized = quantize_leaves(ensemble, score_bits_for(ensemble, TARGET_SCORE_ERROR))
    bound = score_error_bound(ensemble, quantized)[0]
    assert np.exp(high) * np.expm1(bound) <= 1.01 * TARGET_SCORE_ERROR * (np.exp(high) - np.exp(low))


def test_classes_share_a_scale():
    """They are compared with one another, so what rounds one rounds all."""
    ensemble = random_ensemble(np.random.default_rng(0), n_scores=3)
    factors = np.repeat(np.array([1e6, 1e3, 1.0])[ensemble.tree_columns], np.diff(ensemble.tree_offsets))
    ensemble = replace(ensemble, value=ensemble.value * factors[:, None], link=SoftmaxLink())
    assert len(set(quantize_leaves(ensemble, 30).score_scale)) == 1
    assert len(set(quantize_leaves(replace(ensemble, link=IdentityLink()), 30).score_scale)) == 3
