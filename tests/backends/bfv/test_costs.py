"""Costs that are told beforehand: operations are those that an evaluation makes."""

from collections import Counter

import numpy as np
import pytest

from fhe_estimators.backends.bfv import costs
from fhe_estimators.backends.bfv.evaluator.linear import CostEvaluator
from fhe_estimators.backends.bfv.evaluator.plaintexts import PlaintextCache
from fhe_estimators.backends.bfv.evaluator.zero_test import ZeroTestEvaluator
from tests.attacks.deployments import Target


@pytest.mark.parametrize(("options", "n_rows"), [({"depth": 4, "n_trees": 9}, 1), ({"depth": 2}, 5), ({"depth": 1}, 2)])
def test_operations_are_counted(options, n_rows, monkeypatch):
    target, made = Target("bfv", **options), Counter()
    for owner, method, name in (
        (CostEvaluator, "_applied", "key_switching"),
        (ZeroTestEvaluator, "_product", "product"),
        (PlaintextCache, "get", "diagonals"),
    ):
        original = getattr(owner, method)

        def counted(*arguments, original=original, name=name):
            made[name] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, method, counted)
    request = target.ask(n_rows)
    np.testing.assert_array_equal(
        target.client.decrypt(target.server.run(request, target.keys)), target.expected(n_rows)
    )
    layout, n_batches = target.program.layout(n_rows), 1
    expected = costs.operation_counts(target.program, layout)
    assert n_rows <= layout.n_samples * n_batches
    for name in ("key_switching", "product"):
        assert made[name] == expected[name]
    assert made["diagonals"] == expected["plain_product"] + target.program.n_blocks, "and a constant a block"


def test_costs_grow_with_batches_and_leaves():
    program = Target("bfv", depth=4).program
    most = program.layout(1 << 20).n_samples
    assert program.predicted_seconds(1) < program.predicted_seconds(most)
    assert program.predicted_seconds(3 * most) == pytest.approx(3 * program.predicted_seconds(most))
    larger = Target("bfv", depth=6, n_trees=600, leaf_probability=0).program
    assert program.predicted_seconds(1) < larger.predicted_seconds(1)
    assert program.describe()["peak_memory_bytes"] < larger.describe()["peak_memory_bytes"]


def test_nothing_to_evaluate_costs_nothing():
    program = Target("bfv", depth=0).program
    assert costs.operation_counts(program, program.layout(1)) == {}
    assert program.predicted_seconds(1000) == 0
