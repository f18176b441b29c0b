"""Costs that are told beforehand against those that are paid."""

import pickle
import subprocess
import sys
import time
import warnings
from collections import Counter
from inspect import cleandoc

import numpy as np
import pytest

from fhe_estimators.backends.ckks import CKKSBackend, costs
from fhe_estimators.backends.ckks import program as program_module
from fhe_estimators.backends.ckks.counting import CountingArithmetic, Operation, follow_circuit
from fhe_estimators.backends.ckks.evaluator import batch as batch_module
from fhe_estimators.backends.ckks.evaluator import circuit as circuit_module
from fhe_estimators.backends.ckks.evaluator.seal_arithmetic import SEALArithmetic
from fhe_estimators.backends.seal import speed as seal_speed
from fhe_estimators.exceptions import FHEError, MemoryBudgetError, MemoryBudgetWarning
from fhe_estimators.quantizers import QuantileQuantizer
from fhe_estimators.utils import PROCESS_BYTES
from tests.backends.ckks.test_noise import program_of

#: Depth, layout, and how bits are made: every path through the evaluator.
PROGRAMS = [
    {"depth": 1},
    {"depth": 3, "width": 3},
    {"depth": 5, "n_trees": 12, "leaf_probability": 0.3},
    {"depth": 3, "quantizer": QuantileQuantizer(4)},
]


class Recorder(SEALArithmetic):
    """Counts what SEAL is asked for."""

    def __init__(self, keys):
        super().__init__(keys)
        self.operations = Counter()


def _recorded(name, method):
    def operation(self, a, *rest):
        operand = rest[0] if method == "_add" else a
        self.operations[Operation(name, operand.level, operand.size)] += 1
        return getattr(SEALArithmetic, method)(self, a, *rest)

    return operation


_METHODS = {
    "_negate": "copy",
    "_turn": "shift",
    "_conjugate": "automorphism",
    **{f"_{name}": name for name in ("multiply", "relinearize", "rescale", "drop", "copy", "add", "multiple")},
    **{f"_{name}": name for name in ("add_constant", "automorphism", "shift")},
}
for _method, _name in _METHODS.items():
    setattr(Recorder, _method, _recorded(_name, _method))


def served(program, codes, **options):
    """A client with keys, an evaluator and a request."""
    backend = CKKSBackend()
    client = backend.client(program.client_spec)
    keys = client.generate_keys()
    return client, backend.evaluator(program, **options), client.encrypt(codes), keys


@pytest.mark.parametrize("n_rows", [1, 4000])
@pytest.mark.parametrize("options", PROGRAMS, ids=str)
def test_what_is_counted_is_what_is_done(options, n_rows, monkeypatch):
    program, codes = program_of(**options)
    recorders, circuits = [], []
    monkeypatch.setattr(batch_module, "SEALArithmetic", lambda keys: recorders.append(Recorder(keys)) or recorders[-1])
    original = circuit_module.CircuitEvaluator.__init__

    def remembered(self, *arguments):
        original(self, *arguments)
        circuits.append(self)

    monkeypatch.setattr(circuit_module.CircuitEvaluator, "__init__", remembered)
    _, evaluator, request, keys = served(program, codes[:n_rows])
    circuits.clear()
    evaluator.run(request, keys)
    (expansion,) = costs.batches_of(program, n_rows)
    counted = CountingArithmetic(program.parameters, lambda operation: 1.0)
    follow_circuit(program, counted, list(program.packing.groups(expansion)))
    loads = sum(n for operation, n in counted.operations.items() if operation.name == "load")
    n_groups = sum(1 for _ in program.packing.groups(expansion))
    assert loads == n_groups or (loads < n_groups and program.comparisons.hides_bins), "digits may be of no use"
    done = {operation: n for operation, n in counted.operations.items() if operation.name != "load"}
    assert recorders[0].operations == done
    # Nothing was kept: neither bits, nor factors, nor sums.
    for circuit in circuits:
        assert len(circuit.bits) == len(circuit._factors) == len(circuit._sums) == len(circuit._terms) == 0
        assert not any(circuit.bits._uses_left.values()) and not circuit._memberships
    circuits.clear()
    del circuit
    assert not any(counted.memory.live.values())


def test_freeing_saves_most_of_the_memory():
    """A deep forest never holds all its bits, whichever way they come."""
    program, _ = program_of(depth=8, n_trees=20, leaf_probability=0.3, n_thresholds=40)
    for expansion in (0, program.parameters.expansion_log2):
        counted = CountingArithmetic(program.parameters, lambda operation: 1.0)
        follow_circuit(program, counted, list(program.packing.groups(expansion)))
        of_level = Counter(program.packing.levels.tolist())
        all_bits = sum(2 * program.parameters.n_primes(level) * n for level, n in of_level.items() if level)
        assert sum(n * count for n, count in counted.memory.peak.items()) < 1.5 * all_bits


_SERVER = cleandoc(
    """
    import pickle, sys
    from fhe_estimators.backends.ckks import CKKSBackend
    with open(sys.argv[1], "rb") as file:
        program, request, keys = pickle.load(file)
    CKKSBackend().evaluator(program).run(request, keys)
    with open("/proc/self/status") as file:  # ru_maxrss would begin with that of the parent
        print(next(line.split()[1] for line in file if line.startswith("VmHWM")))
    """
)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("n_rows", [1, 4000])
def test_predicted_memory_is_that_of_a_server(n_rows, tmp_path):
    program, codes = program_of(depth=7, n_trees=10, leaf_probability=0.15, n_thresholds=40)
    _, _, request, keys = served(program, codes[:n_rows])
    path = tmp_path / "server"
    path.write_bytes(pickle.dumps((program, request, keys)))
    result = subprocess.run([sys.executable, "-c", _SERVER, str(path)], capture_output=True, text=True, check=True)
    measured = 1024 * int(result.stdout)
    predicted = program.peak_memory_bytes(costs.batches_of(program, n_rows))
    assert 0.7 <= predicted / measured <= 1.3
    assert predicted > 1.3 * PROCESS_BYTES, "what is tested is more than the libraries"


def test_predicted_seconds_are_about_those_of_the_processor():
    program, codes = program_of(depth=5, n_trees=6, leaf_probability=0.1, n_thresholds=20)
    client, evaluator, request, keys = served(program, codes[:1000])
    response, seconds = evaluator.run(request, keys), []
    for _ in range(2):
        start = time.process_time()
        client.encrypt(codes[:1000])
        evaluator.run(request, keys)
        client.decrypt(response, request)
        seconds.append(time.process_time() - start)
    assert 0.4 <= costs.predicted_seconds(program, 1000) / min(seconds) <= 2.5


def test_a_variable_sets_the_speed(monkeypatch):
    program, _ = program_of(depth=3)
    predicted = []
    for nanoseconds in ("1", "2"):
        monkeypatch.setenv(seal_speed.SPEED_VARIABLE, nanoseconds)
        seal_speed.ntt_nanoseconds.cache_clear()
        fresh = pickle.loads(pickle.dumps(program))
        predicted.append(fresh.describe()["predicted_seconds"])
    seal_speed.ntt_nanoseconds.cache_clear()
    for n_rows in (1, 1000):
        assert 1.5 < predicted[1][n_rows] / predicted[0][n_rows] <= 2


def test_more_rows_than_a_batch_cost_more():
    program, _ = program_of(depth=3)
    n_slots = program.parameters.n_slots
    assert costs.batches_of(program, 2 * n_slots + 1) == [0, 0, program.parameters.expansion_log2]
    assert costs.predicted_seconds(program, 2 * n_slots) == 2 * costs.predicted_seconds(program, n_slots)
    one, two = program.peak_memory_bytes([0]), program.peak_memory_bytes([0, 0])
    assert two - one == program.batch_cost(0).upload_bytes, "batches one after the other: the request alone grows"
    assert program.peak_memory_bytes([0, 0], n_processes=2) > 1.8 * one


def test_what_does_not_fit_is_refused_before_it_starts(monkeypatch):
    program, codes = program_of(depth=3)
    described = program.describe()
    budget = described["peak_memory_bytes"] - 1_000_000
    _, evaluator, request, keys = served(program, codes, memory_budget_bytes=budget)
    monkeypatch.setattr(batch_module, "SEALArithmetic", None)  # nothing may be computed
    with pytest.raises(MemoryBudgetError, match=r"request would take \d+ MB .* budget of \d+ MB.*n_estimators"):
        evaluator.run(request, keys)
    assert issubclass(MemoryBudgetError, FHEError) and issubclass(MemoryBudgetError, MemoryError)
    monkeypatch.undo()
    evaluator.memory_budget_bytes = described["peak_memory_bytes"] + 1_000_000
    evaluator.run(request, keys)
    evaluator.memory_budget_bytes = -1
    with pytest.raises(ValueError, match="memory_budget_bytes=-1 must be positive"):
        evaluator.run(request, keys)


def test_processes_share_the_budget():
    program, codes = program_of(depth=3)
    rows = np.resize(codes, (3 * program.parameters.n_slots, codes.shape[1]))
    _, evaluator, request, keys = served(program, rows, n_jobs=2)
    evaluator.memory_budget_bytes = int(1.5 * program.describe()["peak_memory_bytes"])
    with pytest.raises(MemoryBudgetError, match="smaller n_jobs"):
        evaluator.run(request, keys)
    evaluator.n_jobs = None
    evaluator.run(request, keys)


def test_a_client_refuses_an_upload_that_does_not_fit():
    program, codes = program_of(depth=3)
    client, *_ = served(program, codes[:1])
    client.memory_budget_bytes = program.describe()["upload_bytes"]
    with pytest.raises(MemoryBudgetError, match=r"Encrypting these rows would take .* Encrypt fewer rows"):
        client.encrypt(codes)
    client.encrypt(codes[:1])


def test_compile_warns_of_programs_that_are_too_large_for_the_machine(monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error", MemoryBudgetWarning)
        program, _ = program_of(depth=3)
    monkeypatch.setattr("fhe_estimators.utils._memory.memory_limit_bytes", lambda: int(3e8))
    with pytest.warns(MemoryBudgetWarning, match=r"full batch of rows would take \d+ MB .* half of the 300 MB"):
        program_of(depth=3)
    assert program.describe()["peak_memory_bytes"] > 1.5e8


def test_the_bar_follows_the_predicted_seconds(capsys):
    program, codes = program_of(depth=6, n_trees=8, leaf_probability=0.2)
    _, evaluator, request, keys = served(program, codes[:1000], verbose=1)
    evaluator.run(request, keys)
    shown = capsys.readouterr().err
    assert "evaluate 1,000 rows" in shown and "100%" in shown
    finished = program.batch_cost(costs.batches_of(program, 1000)[0]).finished
    assert np.all(np.diff(finished) >= 0) and np.diff(finished, prepend=0).max() < finished[-1] / 3


def test_describing_is_cheap(monkeypatch):
    """Each kind of batch is followed once."""
    followed = []
    original = program_module.batch_cost
    monkeypatch.setattr(
        program_module, "batch_cost", lambda *arguments: followed.append(arguments[1]) or original(*arguments)
    )
    program, _ = program_of(depth=3)
    program.describe(), program.describe()
    assert len(followed) == len(set(followed)) <= 3
