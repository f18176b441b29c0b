"""Bits routed to lanes: the circuit in the clear, and large programs under encryption."""

import pickle

import numpy as np
import pytest
import tenseal.sealapi as seal

from fhe_estimators.backends.bfv import BFVBackend, costs
from fhe_estimators.backends.bfv import program as program_module
from fhe_estimators.backends.bfv.circuit.boxes import leaf_costs
from fhe_estimators.backends.bfv.circuit.diagonals import block_diagonals, leaf_slots
from fhe_estimators.backends.bfv.circuit.routing import RoutedInput, route
from fhe_estimators.backends.bfv.evaluator import requests as requests_module
from fhe_estimators.backends.bfv.evaluator.batch import sum_blocks
from fhe_estimators.backends.bfv.evaluator.evaluation_keys import PublicKeys
from fhe_estimators.backends.bfv.evaluator.linear import CostEvaluator
from fhe_estimators.backends.bfv.evaluator.routing import BitRouter
from fhe_estimators.backends.bfv.evaluator.zero_test import ZeroTestEvaluator
from fhe_estimators.backends.bfv.parameters import MARGIN_BITS
from fhe_estimators.backends.messages import unpack_message
from fhe_estimators.exceptions import MemoryBudgetError, ProtocolError
from tests.attacks.deployments import Target
from tests.backends.bfv.test_circuit import quantized


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize(("degree", "window"), [(64, 32), (256, 32), (256, 64), (1024, 32), (1024, 256)])
@pytest.mark.parametrize("seed", range(4))
def test_routed_bits_times_small_matrices_are_the_costs(seed, degree, window, hidden):
    """With one ciphertext of bits and with many, full and repeated."""
    options = {"n_trees": 9} if hidden else {"n_trees": 9, "n_thresholds": 50}
    ensemble, bits, codes = quantized(seed, hidden=hidden, depth=4, **options)
    found = leaf_costs(ensemble, bits).dependent()
    source = RoutedInput(degree, len(found.bits))
    routes = route(ensemble, found, source, window)
    if routes is None:
        assert window > source.period or degree // 2 // window > source.period or window < 64
        return
    row = found.bits.bits(codes[:1])
    inputs, windows = source.inputs(row), np.zeros((routes.n_blocks, degree), dtype=np.int64)
    assert len(inputs) == source.n_inputs and all(len(slots) == degree for slots in inputs)
    lanes = routes.layout.lanes_per_half
    for number, slots in enumerate(inputs):
        for rotation in (start * lanes + step for start in routes.starts for step in range(lanes)):
            rotated = np.roll(slots.reshape(2, -1), -rotation, axis=1).ravel()
            for block, mask in routes.masks(number, rotation):
                windows[block] += mask * rotated
    costs_of_row = found.constant.copy()
    np.add.at(costs_of_row, found.leaf, row[0, found.bit] * found.coefficient)
    for block in range(routes.n_blocks):
        diagonals, baby = block_diagonals(routes.costs, routes.layout, block, 4), 4
        total = np.zeros(degree, dtype=np.int64)
        for giant in reversed(range(window // baby)):
            total = np.roll(total.reshape(2, -1), -baby * lanes, axis=1).ravel()
            for step in range(baby):
                plain = diagonals.plain(giant * baby + step, degree, 65537)
                rotated = np.roll(windows[block].reshape(2, -1), -step * lanes, axis=1).ravel()
                total = total + (0 if plain is None else plain * rotated)
        total = (total + diagonals.constant) % 65537
        where = leaf_slots(routes.layout, routes.placed(np.arange(len(found.node)) + 1), block)
        np.testing.assert_array_equal(total[where > 0], costs_of_row[where[where > 0] - 1])


def test_places_of_bits_are_public_and_one_for_each():
    for degree, n_bits in ((64, 5), (64, 32), (64, 200), (8192, 5100)):
        source = RoutedInput(degree, n_bits)
        places = source.places()
        assert len(np.unique(places)) == n_bits and places.max() < source.n_inputs * source.period
    # Clients and servers with other versions of this library must agree.
    assert RoutedInput(64, 6).places().tolist() == [2, 4, 6, 5, 1, 7]


@pytest.fixture(scope="module")
def target():
    """A program that routes its bits: compiling would do so for larger ones only."""
    target = Target("bfv", n_trees=100, depth=2, leaf_probability=0, n_thresholds=200)
    ensemble = target.program.ensemble
    settings = ensemble, None, target.program.client_learns
    target.program = program_module._fitted(settings, leaf_costs(ensemble, None).dependent(), 8192, 128)
    target.client = target.backend.client(target.program.client_spec)
    target.keys, target.server = target.client.generate_keys(), target.backend.evaluator(target.program)
    return target


def test_compiling_routes_the_bits_of_large_ensembles(monkeypatch):
    monkeypatch.setattr(program_module, "_WINDOWS", (512,))
    program = Target("bfv", n_trees=110, depth=7, leaf_probability=0, n_thresholds=3000).program
    assert program.window == 512 and program.describe()["window"] == 512


def test_compiling_routes_in_no_ring_that_is_too_small_or_larger_than_needed(monkeypatch):
    """And stops where larger windows take longer."""
    asked = []

    def recorded(ensemble, costs, source, window):
        asked.append((window, source.degree))
        return route(ensemble, costs, source, window)

    monkeypatch.setattr(program_module, "route", recorded)
    monkeypatch.setattr(program_module, "_MANY_DIAGONALS", 1)
    ensemble, _, _ = quantized(0, hidden=False, depth=6, n_trees=40, leaf_probability=0, n_thresholds=100)
    found = {}
    for worse in (1e9, 1.0):
        monkeypatch.setattr(program_module, "_WORSE", worse)
        asked.clear()
        found[worse] = program_module.compile_program(ensemble, None, "")
        windows = [window for window, _ in asked]
        assert windows == sorted(set(windows)), "one ring a window"
    assert set(windows) < set(program_module._WINDOWS)
    assert found[1.0].metadata() == found[1e9].metadata()


def test_a_large_program_routes_its_bits_and_is_exact(target):
    described = target.program.describe()
    assert described["window"] is not None
    for n_rows in (1, 2):
        request = target.ask(n_rows)
        response = target.server.run(request, target.keys)
        np.testing.assert_array_equal(target.client.decrypt(response), target.expected(n_rows))
    assert target.program.predicted_seconds(2) == pytest.approx(2 * target.program.predicted_seconds(1))
    loaded = target.backend.load(target.program.ensemble, target.program.metadata())
    assert loaded.program_id == target.program.program_id and loaded.window == described["window"]
    with pytest.raises(ProtocolError, match="window=7 of the archive"):
        target.backend.load(target.program.ensemble, {**target.program.metadata(), "window": 7})


def test_the_budget_that_is_left_after_routing_is_at_least_the_margin(target):
    keys = PublicKeys(target.program, target.client.evaluation_keys)
    decryptor = seal.Decryptor(keys.context.seal_context, target.client._require_keys().secret)
    blobs, cache = unpack_message("request", target.ask(1))[1], target.server._plaintexts
    blocks = range(target.program.n_blocks)
    sums = sum_blocks(target.program, keys, target.program.layout(1), cache, blobs, blocks)
    for total in sums._totals:
        sums.evaluator.transform_from_ntt_inplace(total)
        assert decryptor.invariant_noise_budget(total) >= MARGIN_BITS
        sums.evaluator.transform_to_ntt_inplace(total)
    told = target.program.describe()["noise_budget_bits"]
    for result in sums.results():
        assert decryptor.invariant_noise_budget(result) >= int(told) >= MARGIN_BITS


def test_operations_of_a_routed_program_are_counted(target, monkeypatch):
    made = {"key_switching": 0, "product": 0}
    for owner, method, name in (
        (CostEvaluator, "_applied", "key_switching"),
        (BitRouter, "_applied", "key_switching"),
        (ZeroTestEvaluator, "_product", "product"),
    ):
        original = getattr(owner, method)

        def counted(*arguments, original=original, name=name):
            made[name] += 1
            return original(*arguments)

        monkeypatch.setattr(owner, method, counted)
    target.server.run(target.ask(1), target.keys)
    expected = costs.operation_counts(target.program, target.program.layout(1))
    assert made == {name: expected[name] for name in made}


def test_more_bits_than_a_ciphertext_holds():
    target = Target("bfv", n_trees=1800, depth=2, leaf_probability=0, n_thresholds=40_000)
    ensemble = target.program.ensemble
    costs_of_leaves = leaf_costs(ensemble, None).dependent()
    program = program_module._fitted((ensemble, None, target.program.client_learns), costs_of_leaves, 8192, 256)
    assert program.describe()["n_ciphertexts"] == 2
    client, server = target.backend.client(program.client_spec), target.backend.evaluator(program)
    keys = client.generate_keys()
    response = server.run(client.encrypt(target.codes[:1]), keys)
    np.testing.assert_array_equal(client.decrypt(response), target.expected(1))


def test_processes_share_the_blocks_of_a_row_and_are_exact(target):
    server = target.backend.evaluator(target.program, n_jobs=2)
    request = target.ask(2)
    assert len(server._tasks(2)) == 2
    np.testing.assert_array_equal(target.client.decrypt(server.run(request, target.keys)), target.expected(2))


@pytest.mark.parametrize(("n_blocks", "n_batches", "n_jobs"), [(5, 1, 2), (1, 3, 2), (7, 2, 4), (3, 1, 8)])
def test_tasks_cover_all_blocks_once(target, n_blocks, n_batches, n_jobs, monkeypatch):
    monkeypatch.setattr(type(target.program), "n_blocks", n_blocks)
    tasks = target.backend.evaluator(target.program, n_jobs=n_jobs)._tasks(n_batches)
    done = sorted((batch, block) for batch, blocks in tasks for block in blocks)
    assert done == [(batch, block) for batch in range(n_batches) for block in range(n_blocks)]
    assert len(tasks) >= min(n_jobs, n_blocks * n_batches) / 2


def test_requests_that_do_not_fit_are_refused_before_they_start(target, monkeypatch):
    request = target.ask(1)
    needed = costs.peak_memory_bytes(target.program, kept_bytes=0) + len(request)
    server = BFVBackend().evaluator(target.program, memory_budget_bytes=needed - 1)
    with monkeypatch.context() as patched:
        patched.setattr(requests_module, "sum_blocks", None)  # nothing may be computed
        with pytest.raises(MemoryBudgetError, match=r"request would take .* budget of .* max_leaf_nodes"):
            server.run(request, target.keys)
        server.n_jobs = 2
        with pytest.raises(MemoryBudgetError, match="smaller n_jobs"):
            server.run(target.ask(2), target.keys)
    server.n_jobs, server.memory_budget_bytes = None, needed
    np.testing.assert_array_equal(target.client.decrypt(server.run(request, target.keys), request), target.expected(1))
    assert server._plaintexts.capacity == 0 and server._plaintexts._n_kept == 0


def test_plaintexts_are_kept_within_the_budget_and_not_pickled(target):
    request = target.ask(1)
    target.server.run(request, target.keys)
    cache = target.server._plaintexts
    assert 0 < cache._n_kept * cache.plaintext_bytes <= cache.capacity
    assert pickle.loads(pickle.dumps(target.server))._plaintexts._n_kept == 0
    cache.limit(cache.plaintext_bytes)
    assert cache._n_kept == 0
