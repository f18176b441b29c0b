"""Quantizers whose bins come from the data."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from fhe_estimators.ensembles import MISSING
from fhe_estimators.quantizers import QUANTIZERS, QuantileQuantizer, UniformQuantizer, resolve_quantizer

DATA_QUANTIZERS = [UniformQuantizer, QuantileQuantizer]
values = st.floats(-1e100, 1e100) | st.just(np.nan)


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
@settings(deadline=None)
@given(
    X=hnp.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=values),
    n_bits=st.integers(1, 8),
)
def test_codes_are_ordered_and_bounded(quantizer_class, X, n_bits):
    codes = quantizer_class(n_bits=n_bits).fit(X).transform(X)
    missing = np.isnan(X)
    assert np.all(codes[missing] == MISSING)
    assert np.all((codes[~missing] >= 0) & (codes[~missing] < 2**n_bits))
    for column, code in zip(X.T, codes.T, strict=True):
        known = np.argsort(column[~np.isnan(column)])
        assert np.all(np.diff(code[~np.isnan(column)][known]) >= 0)


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
def test_values_out_of_the_training_range_fall_into_the_outer_bins(quantizer_class):
    X = np.linspace(0, 1, 100)[:, None]
    quantizer = quantizer_class(n_bits=3).fit(X)
    assert quantizer.transform([[-np.inf], [-5.0], [5.0], [np.inf]]).ravel().tolist() == [0, 0, 7, 7]


def test_uniform_bins_have_equal_width():
    quantizer = UniformQuantizer(n_bits=2).fit([[0.0], [8.0]])
    np.testing.assert_allclose(quantizer.edges_[0], [2.0, 4.0, 6.0])


def test_quantile_bins_have_equal_frequency():
    X = np.random.default_rng(0).exponential(size=(4096, 1))
    counts = np.bincount(QuantileQuantizer(n_bits=4).fit_transform(X).ravel())
    assert len(counts) == 16 and counts.max() - counts.min() <= 2


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
@pytest.mark.parametrize("column", [[5.0, 5.0, 5.0], [np.nan, np.nan, np.nan]])
def test_constant_and_missing_features(quantizer_class, column):
    X = np.array(column)[:, None]
    codes = quantizer_class().fit_transform(X).ravel()
    assert len(set(codes.tolist())) == 1


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
@pytest.mark.parametrize("n_bits", [0, 17, 2.5, "6"])
def test_bad_n_bits(quantizer_class, n_bits):
    with pytest.raises(ValueError, match="n_bits must be"):
        quantizer_class(n_bits=n_bits).fit([[0.0], [1.0]])


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
def test_infinite_training_values_are_refused(quantizer_class):
    with pytest.raises(ValueError, match="infinity"):
        quantizer_class().fit([[0.0], [np.inf]])


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
def test_training_features_are_codes_with_nan_for_missing(quantizer_class):
    X = np.array([[0.0], [np.nan], [4.0]])
    quantizer = quantizer_class(n_bits=1).fit(X)
    np.testing.assert_array_equal(quantizer.training_features(X), [[0.0], [np.nan], [1.0]])


@pytest.mark.parametrize("quantizer_class", DATA_QUANTIZERS)
def test_arrays_round_trip(quantizer_class):
    X = np.random.default_rng(0).normal(size=(50, 3))
    quantizer = quantizer_class(n_bits=3).fit(X)
    restored = quantizer_class(n_bits=3).set_arrays(quantizer.to_arrays(), quantizer.input_dtype_)
    np.testing.assert_array_equal(restored.transform(X), quantizer.transform(X))


def test_resolve_by_name_gives_an_unfitted_default():
    for name, quantizer_class in QUANTIZERS.items():
        assert type(resolve_quantizer(name)) is quantizer_class


def test_resolve_clones_instances():
    quantizer = UniformQuantizer(n_bits=3).fit([[0.0], [1.0]])
    resolved = resolve_quantizer(quantizer)
    assert resolved is not quantizer and resolved.n_bits == 3 and not hasattr(resolved, "edges_")
    assert clone(quantizer).n_bits == 3


@pytest.mark.parametrize("quantizer", ["fancy", None, 6, UniformQuantizer])
def test_unknown_quantizer(quantizer):
    with pytest.raises(ValueError, match="is unknown: use one of"):
        resolve_quantizer(quantizer)
