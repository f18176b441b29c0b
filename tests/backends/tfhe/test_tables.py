"""Trees cut into tables, evaluated in the clear: no encryption, any depth."""

import numpy as np
import pytest

from fhe_estimators.backends.tfhe._comparisons import distinct_comparisons
from fhe_estimators.backends.tfhe._tables import MAX_TABLE_BITS, plan_tables
from fhe_estimators.ensembles import sum_leaves
from fhe_estimators.quantizers import ThresholdQuantizer, quantize_leaves
from fhe_estimators.utils.backend_checks._ensembles import random_ensemble, random_rows
from tests.backends.tfhe.evaluation import scores


def client_plan(quantized):
    comparisons, of_node = distinct_comparisons(quantized)
    return plan_tables(quantized, of_node, [("bit", index) for index in range(len(comparisons))], [])


@pytest.mark.parametrize(
    "options",
    [
        *({"depth": depth} for depth in (0, 1, 2, 3, 4, 6)),
        {"depth": 9, "leaf_probability": 0.4, "n_trees": 3},
        {"depth": 5, "width": 3},
        {"depth": 4, "n_scores": 3, "allow_nan": False},
        {"depth": 12, "leaf_probability": 0.5, "n_trees": 2, "n_thresholds": 3},
    ],
    ids=str,
)
def test_tables_add_up_to_the_trees(options):
    rng = np.random.default_rng(0)
    ensemble = random_ensemble(rng, **options)
    quantizer = ThresholdQuantizer(ensemble).fit()
    quantized = quantize_leaves(quantizer.quantize_thresholds(ensemble), 12)
    codes = quantizer.transform(random_rows(rng, 60))
    comparisons, _ = distinct_comparisons(quantized)
    plan = client_plan(quantized)
    assert all(1 <= len(table.inputs) <= MAX_TABLE_BITS for table in plan.tables)
    found = np.array([scores(plan, bits) for bits in comparisons.bits(codes)])
    rows = (codes >= 0).all(axis=1) | ensemble.allow_nan
    np.testing.assert_array_equal(found[rows], sum_leaves(quantized, codes[rows]))


def test_a_tree_of_depth_three_is_two_tables_of_four_bits():
    ensemble = random_ensemble(np.random.default_rng(0), n_trees=1, leaf_probability=0.0, n_features=40)
    quantized = quantize_leaves(ThresholdQuantizer(ensemble).fit().quantize_thresholds(ensemble), 12)
    plan = client_plan(quantized)
    assert [len(table.inputs) for table in plan.tables] == [4, 4]
    assert len(plan.levels) == 1


def test_deep_trees_are_gated():
    ensemble = random_ensemble(np.random.default_rng(0), n_trees=1, depth=7, leaf_probability=0.0, n_features=99)
    quantized = quantize_leaves(ThresholdQuantizer(ensemble).fit().quantize_thresholds(ensemble), 12)
    plan = client_plan(quantized)
    assert any(table.column < 0 for table in plan.tables)
    assert len(plan.levels) > 1
    for level, numbers in enumerate(plan.levels):
        for number in numbers:
            for kind, index in plan.tables[number].inputs:
                assert kind == "bit" or any(index in earlier for earlier in plan.levels[:level])
