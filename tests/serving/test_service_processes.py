"""The command in a process of its own, which is stopped and killed."""

import os
import signal
import threading
import time

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

import httpx

from fhe_estimators.serving import RemoteModel
from tests.serving.served import Command, metric


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def evaluating(pid):
    """Processes of evaluations, that is children of a server but for the tracker of resources."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and is_running(int(name)):
            try:
                with open(f"/proc/{name}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{name}/cmdline") as file:
                    command = file.read()
            except OSError:
                continue
            if parent == pid and "spawn_main" in command:
                found.append(int(name))
    return found


def test_killed_evaluations_under_load_change_nothing(folder, model):
    clf, X = model
    rows = X.iloc[np.random.default_rng(1).integers(len(X), size=240)]
    with Command(folder / "model.server.fhe", "--processes", 2) as command:
        remote = RemoteModel(command.url, rows_per_request=4, n_concurrent=6)
        remote.predict(rows[:1])
        stop, killed = threading.Event(), []

        def kill():
            while len(killed) < 3 and not stop.wait(0.4):
                children = evaluating(command.process.pid)
                if children:
                    os.kill(children[-1], signal.SIGKILL)
                    killed.append(children[-1])

        killer = threading.Thread(target=kill)
        killer.start()
        np.testing.assert_array_equal(remote.predict(rows), clf.predict(rows))
        stop.set()
        killer.join()
        assert killed


def test_a_server_that_is_away_for_a_while(folder, model):
    clf, X = model
    rows = X.iloc[np.random.default_rng(2).integers(len(X), size=1000)]
    found = []
    with Command(folder / "model.server.fhe", "--processes", 1) as command:
        remote = RemoteModel(command.url, rows_per_request=20, n_concurrent=2)
        asking = threading.Thread(target=lambda: found.append(remote.predict(rows)))
        asking.start()

        with httpx.Client(base_url=command.url, trust_env=False) as client:
            while metric(client, "fhe_evaluation_seconds_count") < 5:
                time.sleep(0.02)
        output = command.stop()
    assert "Traceback" not in output
    assert asking.is_alive()
    with Command(folder / "model.server.fhe", "--processes", 1, port=command.port):
        asking.join(timeout=300)
    np.testing.assert_array_equal(found[0], clf.predict(rows))


def test_what_was_accepted_is_answered_before_the_end(folder, model):
    clf, X = model
    rows = X.iloc[np.zeros(4000, dtype=int)]
    with Command(folder / "model.server.fhe", "--processes", 1) as command:
        remote = RemoteModel(command.url, retry_seconds=0.0)
        remote.predict(rows[:1])
        found = []
        asking = threading.Thread(target=lambda: found.append(remote.predict(rows)))
        asking.start()

        with httpx.Client(base_url=command.url, trust_env=False) as client:
            while metric(client, "fhe_processes_busy") < 1 and asking.is_alive():
                pass
        os.kill(command.process.pid, signal.SIGTERM)
        asking.join(timeout=120)
        assert command.process.wait(timeout=60) is not None
    np.testing.assert_array_equal(found[0], clf.predict(rows))


def test_no_process_is_left_of_a_server_that_was_killed(folder, model):
    with Command(folder / "model.server.fhe", "--processes", 1) as command:
        children = evaluating(command.process.pid)
        assert children
        os.kill(command.process.pid, signal.SIGKILL)
        end = time.monotonic() + 30
        while any(is_running(pid) for pid in children) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(is_running(pid) for pid in children)
