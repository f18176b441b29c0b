"""Memory of a server process: what it is told to take, and that it refuses more before it starts."""

import json
import pickle
import subprocess
import sys
from inspect import cleandoc

import pytest

from fhe_estimators.utils import PROCESS_BYTES
from tests.attacks.deployments import Target

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

_SERVER = cleandoc(
    """
    import json, pickle, sys
    from fhe_estimators.backends.bfv import BFVBackend
    from fhe_estimators.exceptions import MemoryBudgetError

    def memory(name):
        with open("/proc/self/status") as file:
            return 1024 * int(next(line.split()[1] for line in file if line.startswith(name)))

    with open(sys.argv[1], "rb") as file:
        program, request, keys, budget = pickle.load(file)
    refused = None
    try:
        evaluator = BFVBackend().evaluator(program, memory_budget_bytes=budget)
        for _ in range(2):
            evaluator.run(request, keys)
    except MemoryBudgetError as error:
        refused = str(error)
    print(json.dumps({"peak": memory("VmHWM"), "refused": refused}))
    """
)


@pytest.fixture(scope="module")
def target():
    """More than the libraries: diagonals, keys, and leaves."""
    return Target("bfv", n_trees=60, depth=7, n_thresholds=200, leaf_probability=0)


def served(target, budget, tmp_path):
    request, path = target.ask(1), tmp_path / "server"
    path.write_bytes(pickle.dumps((target.program, request, target.keys, budget)))
    result = subprocess.run([sys.executable, "-c", _SERVER, str(path)], capture_output=True, text=True, check=True)
    return json.loads(result.stdout)


def test_a_request_keeps_to_its_predicted_peak(target, tmp_path):
    predicted, found = target.program.describe()["peak_memory_bytes"], served(target, None, tmp_path)
    assert found["refused"] is None and predicted > 2 * PROCESS_BYTES
    assert 0.6 <= predicted / found["peak"] <= 1.4


def test_a_request_within_a_small_budget_keeps_few_plaintexts(target, tmp_path):
    least, request_bytes = target.program.required_memory_bytes(), len(target.ask(1))
    found = served(target, least + 2 * request_bytes, tmp_path)
    assert found["refused"] is None
    assert found["peak"] <= 1.3 * least


def test_a_request_beyond_the_budget_is_refused_before_it_starts(target, tmp_path):
    found = served(target, target.program.required_memory_bytes() - 1, tmp_path)
    assert "nothing was started" in found["refused"] and "memory_budget_bytes" in found["refused"]
    assert found["peak"] < 0.8 * target.program.describe()["peak_memory_bytes"]
