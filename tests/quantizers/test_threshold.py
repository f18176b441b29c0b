"""The threshold quantizer loses no comparison."""

from dataclasses import replace

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhe_estimators.ensembles import LEAF, MISSING, TreeEnsemble, decision_leaves
from fhe_estimators.ensembles.links import IdentityLink
from fhe_estimators.quantizers import ThresholdQuantizer, UniformQuantizer


def stumps(thresholds, *, features=None, n_features=1, strict=False, input_dtype="float64", missing_right=False):
    """One tree of a single comparison a threshold; a row's leaf tells the comparison's outcome."""
    n = len(thresholds)
    features = np.zeros(n, dtype=np.int32) if features is None else np.asarray(features, dtype=np.int32)
    roots = np.arange(0, 3 * n, 3)
    feature = np.full(3 * n, LEAF, dtype=np.int32)
    left, right = feature.copy(), feature.copy()
    threshold = np.zeros(3 * n)
    feature[roots], left[roots], right[roots], threshold[roots] = features, roots + 1, roots + 2, thresholds
    value = np.zeros((3 * n, 1))
    value[roots + 2] = 1.0
    return TreeEnsemble(
        n_features=n_features,
        n_scores=1,
        tree_offsets=np.arange(0, 3 * n + 1, 3),
        tree_columns=np.zeros(n, dtype=np.int32),
        feature=feature,
        threshold=threshold,
        left=left,
        right=right,
        missing_right=np.full(3 * n, missing_right),
        value=value,
        base_score=np.zeros(1),
        link=IdentityLink(),
        strict=strict,
        input_dtype=input_dtype,
        allow_nan=True,
    )


def outcomes(ensemble, X):
    """Whether each row goes right in each stump, shape (n_samples, n_trees)."""
    return decision_leaves(ensemble, X) % 3 == 2


def typed_thresholds(strict, dtype):
    """Thresholds as the libraries that compare so have them: numbers of the input type if strict."""
    width = 32 if strict and dtype == "float32" else 64
    return st.lists(st.floats(allow_nan=False, allow_infinity=False, width=width), min_size=1, max_size=8).map(np.array)


def awkward_rows(thresholds, dtype, drawn):
    """Rows on thresholds, next to them, missing, infinite and anywhere."""
    with np.errstate(over="ignore", under="ignore"):
        on = thresholds.astype(dtype)
        above, below = (np.nextafter(on, on.dtype.type(end)) for end in (np.inf, -np.inf))
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype=dtype)
    return np.concatenate([on, above, below, drawn, special])[:, None]


@pytest.mark.parametrize("missing_right", [False, True])
@pytest.mark.parametrize("row_dtype", ["float32", "float64"])
@pytest.mark.parametrize("input_dtype", ["float32", "float64"])
@pytest.mark.parametrize("strict", [False, True])
@settings(deadline=None)
@given(data=st.data())
def test_every_comparison_is_exact(data, strict, input_dtype, row_dtype, missing_right):
    thresholds = data.draw(typed_thresholds(strict, input_dtype))
    ensemble = stumps(thresholds, strict=strict, input_dtype=input_dtype, missing_right=missing_right)
    quantizer = ThresholdQuantizer(ensemble).fit()
    rows = awkward_rows(thresholds, row_dtype, data.draw(hnp.arrays(row_dtype, 5)))
    quantized = quantizer.quantize_thresholds(ensemble)
    in_integers = replace(quantized, value=quantized.value.astype(np.int64))
    np.testing.assert_array_equal(outcomes(in_integers, quantizer.transform(rows)), outcomes(ensemble, rows))


def test_edges_are_sorted_and_unique_per_feature():
    ensemble = stumps([3.0, 1.0, 3.0, 2.0], features=[0, 0, 0, 2], n_features=3)
    edges = ThresholdQuantizer(ensemble).fit().edges_
    assert [e.tolist() for e in edges] == [[1.0, 3.0], [], [2.0]]


def test_a_feature_without_thresholds_has_one_bin():
    quantizer = ThresholdQuantizer(stumps([0.0], n_features=2)).fit()
    codes = quantizer.transform(np.array([[0.0, 9.0], [1.0, -9.0], [np.nan, np.nan]]))
    assert codes.tolist() == [[0, 0], [1, 0], [MISSING, MISSING]]


def test_arrays_round_trip():
    quantizer = ThresholdQuantizer(stumps([1.5, 0.5], features=[1, 1], n_features=3)).fit()
    restored = ThresholdQuantizer().set_arrays(quantizer.to_arrays(), quantizer.input_dtype_)
    X = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_array_equal(restored.transform(X), quantizer.transform(X))


def test_thresholds_of_another_ensemble_are_refused():
    quantizer = ThresholdQuantizer(stumps([1.0])).fit()
    for foreign in (0.5, 2.0):
        with pytest.raises(ValueError, match="not fitted on"):
            quantizer.quantize_thresholds(stumps([foreign]))


@pytest.mark.parametrize("ensemble", [None, "trees"])
def test_needs_an_ensemble(ensemble):
    with pytest.raises(ValueError, match="needs ensemble="):
        ThresholdQuantizer(ensemble).fit()


def test_wrong_number_of_features():
    with pytest.raises(ValueError, match="2 features"):
        ThresholdQuantizer(stumps([1.0])).fit().transform(np.zeros((3, 2)))


def test_data_quantizers_know_no_thresholds():
    assert UniformQuantizer.trains_on_bins and not ThresholdQuantizer.trains_on_bins
