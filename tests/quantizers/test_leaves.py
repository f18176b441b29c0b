"""Rounding of leaf values."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.ensembles import LEAF, TreeEnsemble
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.quantizers import (
    TARGET_SCORE_ERROR,
    quantize_leaves,
    score_bits_for,
    score_error_bound,
)


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
    integers = quantized.value.reshape(-1, 3, 1)[:, 1:, 0]
    error = np.abs(integers / quantized.score_scale - values).max(axis=1).sum()
    bound = score_error_bound(ensemble, quantized)[0]
    assert error <= bound * (1 + 1e-12) + 1e-300
    assert bound <= len(values) * 0.5 / quantized.score_scale * (1 + 1e-12) + 1e-300


@settings(deadline=None)
@given(values=leaf_values)
def test_the_target_error_is_met(values):
    ensemble = forest_of_leaves(values)
    quantized = quantize_leaves(ensemble, score_bits_for(ensemble, TARGET_SCORE_ERROR) + 1)
    largest = max(np.abs(bound).max() for bound in ensemble.score_bounds())
    # Range of scores as [-largest, largest]; one bit is spent on the scale being a power of two.
    assert score_error_bound(ensemble, quantized)[0] <= 2 * TARGET_SCORE_ERROR * 2 * largest + 1e-280


def test_scale_is_a_power_of_two():
    quantized = quantize_leaves(forest_of_leaves(np.array([[0.3, -7.0]])), 20)
    mantissa, _ = np.frexp(quantized.score_scale)
    assert mantissa == 0.5 and quantized.value.dtype == np.int64


@pytest.mark.parametrize("values", [[[0.0, 1.0]], [[0.25, 0.5], [1.0, 0.0]]])
def test_dyadic_values_stay_exact(values):
    ensemble = forest_of_leaves(np.array(values))
    quantized = quantize_leaves(ensemble, 16)
    assert score_error_bound(ensemble, quantized)[0] == 0.0
    np.testing.assert_array_equal(quantized.value / quantized.score_scale, ensemble.value)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e-30, 1e30, 1e250, 1e300])
def test_extreme_magnitudes(size):
    quantized = quantize_leaves(forest_of_leaves(np.array([[0.0, size]])), 20)
    assert np.isfinite(quantized.score_scale) and quantized.score_scale > 0
    np.testing.assert_allclose(quantized.value[2, 0] / quantized.score_scale, size, rtol=1e-5, atol=1e-270)
