"""Costs that are told beforehand: operations are those that an evaluation makes."""

from collections import Counter

import numpy as np
import pytest

from fhe_estimators.backends.bfv import costs
from fhe_estimators.backends.bfv.evaluator.evaluation_keys import PublicKeys
from fhe_estimators.backends.bfv.evaluator.linear import CostEvaluator
from fhe_estimators.backends.bfv.evaluator.plaintexts import PlaintextCache
from fhe_estimators.backends.bfv.evaluator.zero_test import ZeroTestEvaluator
from fhe_estimators.backends.seal.speed import keys_seconds
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


@pytest.mark.parametrize("n_rows", [1, 5])
def test_the_first_request_costs_keys_and_encoded_plaintexts_more(n_rows, monkeypatch):
    """And another one of the same number of rows does not."""
    target, encoded = Target("bfv", depth=4, n_trees=9), []
    original = PublicKeys.encode_ntt
    monkeypatch.setattr(PublicKeys, "encode_ntt", lambda self, slots: encoded.append(1) or original(self, slots))
    request = target.ask(n_rows)
    target.server.run(request, target.keys)
    n_first = len(encoded)
    target.server.run(request, target.keys)
    layout = target.program.layout(n_rows)
    assert len(encoded) == n_first <= costs.n_plaintexts(target.program, layout) < 1.5 * n_first
    operations, p = costs.OperationCosts(target.program.parameters), target.program.parameters
    more = costs.predicted_first_seconds(target.program, n_rows) - target.program.predicted_seconds(n_rows)
    n_keys = 1 + len(target.program.galois_elements)
    keys = keys_seconds(p.poly_modulus_degree, len(p.prime_bits), n_keys)
    assert keys + n_first * operations.encoding < more < keys + 2 * n_first * (operations.encoding + operations.placing)
    assert keys > keys_seconds(p.poly_modulus_degree, len(p.prime_bits), n_keys - 1) > 0
    facts = target.program.describe()
    assert facts["predicted_first_seconds"][1] > facts["predicted_seconds"][1]


def test_nothing_to_evaluate_costs_nothing():
    program = Target("bfv", depth=0).program
    assert costs.operation_counts(program, program.layout(1)) == {}
    assert program.predicted_seconds(1000) == 0
