"""Comparisons by the server, evaluated in the clear, on every code and threshold."""

import numpy as np
import pytest

from fhe_estimators.backends.tfhe._comparisons import Comparisons, distinct_comparisons
from fhe_estimators.backends.tfhe._digits import CodeBits, comparison_tables
from fhe_estimators.backends.tfhe._tables import MAX_TABLE_BITS, TablePlan, plan_tables
from fhe_estimators.ensembles import MISSING, sum_leaves
from fhe_estimators.quantizers import UniformQuantizer, quantize_leaves
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows
from tests.backends.tfhe.evaluation import gate_bits, scores


def every_comparison(n_bits, with_missing):
    """Of the second of two features; thresholds that every code exceeds, and that none does, among them."""
    thresholds = np.arange(-1, 2**n_bits, dtype=np.int32)
    missing_right = np.repeat([False, True], len(thresholds)) if with_missing else np.zeros(len(thresholds), bool)
    thresholds = np.tile(thresholds, 2) if with_missing else thresholds
    return Comparisons(np.ones(len(thresholds), np.int32), thresholds, missing_right)


@pytest.mark.parametrize("with_missing", [False, True])
@pytest.mark.parametrize("n_bits", range(1, 9))
def test_every_code_against_every_threshold(n_bits, with_missing):
    comparisons, code_bits = every_comparison(n_bits, with_missing), CodeBits(2, n_bits, with_missing)
    codes = np.arange(MISSING if with_missing else 0, 2**n_bits)
    codes = np.stack([codes[::-1], codes], axis=1)
    sources, tables = comparison_tables(comparisons, code_bits)
    assert all(1 <= len(table.inputs) <= MAX_TABLE_BITS for table in tables)
    plan = TablePlan(tables, np.zeros(1, dtype=np.int64))
    for bits, expected in zip(code_bits.bits(codes), comparisons.bits(codes), strict=True):
        found = gate_bits(plan, bits)
        assert [found[source] for source in sources] == expected.tolist()


def test_the_top_bit_alone_costs_no_table():
    half = Comparisons(np.zeros(1, np.int32), np.array([31], np.int32), np.zeros(1, bool))
    assert comparison_tables(half, CodeBits(1, 6, False)) == ([("bit", 5)], [])


def test_comparisons_share_tables():
    comparisons = every_comparison(6, False)
    _, tables = comparison_tables(comparisons, CodeBits(2, 6, False))
    assert len(tables) < 1.3 * len(comparisons)  # two each, were nothing shared


@pytest.mark.parametrize("n_bits", [2, 5, 8])
@pytest.mark.parametrize("allow_nan", [False, True])
def test_whole_ensembles(n_bits, allow_nan):
    rng = np.random.default_rng(n_bits)
    ensemble = random_ensemble(rng, depth=5, n_scores=2, allow_nan=allow_nan)
    rows = random_rows(rng, 80)
    if not allow_nan:
        rows = np.nan_to_num(rows, nan=0.0)
    quantizer = UniformQuantizer(n_bits).fit(np.where(np.isfinite(rows), rows, np.nan) if allow_nan else rows)
    quantized = quantize_leaves(quantizer.quantize_thresholds(ensemble), 12)
    codes = quantizer.transform(rows)
    comparisons, of_node = distinct_comparisons(quantized)
    code_bits = CodeBits(codes.shape[1], n_bits, allow_nan)
    plan = plan_tables(quantized, of_node, *comparison_tables(comparisons, code_bits))
    found = np.array([scores(plan, bits) for bits in code_bits.bits(codes)])
    np.testing.assert_array_equal(found, sum_leaves(quantized, codes))
