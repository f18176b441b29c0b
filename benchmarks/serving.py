"""A service over HTTP: rows a second and latency beside the same model in this process and in the clear, and memory.

``python -m benchmarks.serving [--seconds 20] [--clients 1 8 32] [--soak MINUTES]`` prints what
``docs/results/serving.md`` holds. XGBoost 50 x 3, one row a request, each client with keys of its own. Requests are
encrypted before, so that clients take little processor from the server; the first response of each client is
decrypted and compared.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEClassifier
from fhe_estimators.serving import FHEClient, FHEServer

from ._report import describe_machine, markdown
from ._service import Service
from ._workloads import xgboost_50x3

N_CORES = len(os.sched_getaffinity(0))


def save_model(folder: Path, name: str, backend: str = "auto", **parameters: Any) -> FHEClassifier:
    """A compiled model, and its archives."""
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEClassifier(xgboost_50x3(**parameters), backend=backend).fit(X[::2], y[::2]).compile()
    clf.save_server(folder / f"{name}.server.fhe")
    clf.save_client(folder / f"{name}.client.fhe")
    return clf


class Asker:
    """One client: sends its request again and again, and notes the seconds of each answer."""

    def __init__(self, service: Service, folder: Path, row: np.ndarray, label: np.ndarray, model: str = "model"):
        self._client, self._row, self._label = FHEClient.load(folder / f"{model}.client.fhe"), row, label
        self._http = httpx.Client(base_url=service.url, timeout=120, trust_env=False)
        self._path = f"/v1/models/{model}"
        self.start()

    def start(self) -> None:
        """With fresh keys; the answer is decrypted and compared."""
        self._client.new_session()
        self._request = self._client.encrypt(self._row)
        keys = self._client.evaluation_keys
        self._keys_id = self._http.post(self._path + "/keys", content=keys).raise_for_status().json()["keys_id"]
        response = self.ask().raise_for_status()
        np.testing.assert_array_equal(self._client.decrypt_predict(response.content, self._request), self._label)

    def ask(self, content: bytes | None = None) -> httpx.Response:
        return self._http.post(f"{self._path}/predict?keys={self._keys_id}", content=content or self._request)

    def run(self, end: float) -> None:
        self.seconds, self.n_refused = [], 0
        while (start := time.perf_counter()) < end:
            if self.ask().is_success:
                self.seconds.append(time.perf_counter() - start)
            else:
                self.n_refused += 1


def in_parallel(functions: list[Callable[[], Any]]) -> None:
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def evaluate_alone(folder: str, row: np.ndarray, seconds: float) -> list[float]:
    """Seconds of each evaluation in this process, the first left out."""
    client, server = (
        FHEClient.load(Path(folder, "model.client.fhe")),
        FHEServer.load(Path(folder, "model.server.fhe")),
    )
    client.new_session()
    request = client.encrypt(row)
    server.run(request, client.evaluation_keys)
    found, end = [], time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        server.run(request, client.evaluation_keys)
        found.append(time.perf_counter() - start)
    return found


def evaluate_on_all_cores(folder: Path, row: np.ndarray, seconds: float) -> list[float]:
    """The same in a process a core, at once: what a service can at most do."""
    with ProcessPoolExecutor(N_CORES, multiprocessing.get_context("spawn")) as processes:
        jobs = [processes.submit(evaluate_alone, str(folder), row, seconds) for _ in range(N_CORES)]
        return [value for job in jobs for value in job.result()]


def cells(label: str, seconds: list[float], n_clients: int, duration: float, n_refused: int = 0) -> list[str]:
    cuts = statistics.quantiles(seconds, n=100)
    milliseconds = [f"{1e3 * value:.1f}" for value in (min(seconds), cuts[49], cuts[94], cuts[98])]
    return [label, str(n_clients), *milliseconds, f"{len(seconds) / duration:.1f}", str(n_refused)]


def measure_load(folder: Path, clf: FHEClassifier, label: str, options: argparse.Namespace) -> list[list[str]]:
    """A row of the table for each number of clients."""
    X, _ = load_breast_cancer(return_X_y=True)
    labels, rows = clf.predict(X), []
    with Service(folder / "model.server.fhe", "--processes", N_CORES) as service:
        askers = [Asker(service, folder, X[i : i + 1], labels[i : i + 1]) for i in range(max(options.clients))]
        in_parallel([asker.ask for asker in askers])  # all processes run, and have parsed keys
        for n_clients in options.clients:
            end = time.perf_counter() + options.seconds
            in_parallel([partial(asker.run, end) for asker in askers[:n_clients]])
            seconds = [value for asker in askers[:n_clients] for value in asker.seconds]
            n_refused = sum(asker.n_refused for asker in askers[:n_clients])
            rows.append(cells(label, seconds, n_clients, options.seconds, n_refused))
    return rows


def measure_added(folder: Path, clf: FHEClassifier, seconds: float) -> str:
    """What HTTP, processes and checks add to a row: here and there take turns, under one load of the machine."""
    X, _ = load_breast_cancer(return_X_y=True)
    client, server = FHEClient.load(folder / "model.client.fhe"), FHEServer.load(folder / "model.server.fhe")
    client.new_session()
    request = client.encrypt(X[:1])
    keys = client.evaluation_keys
    server.run(request, keys)
    here, there, processor_here = [], [], 0.0
    with Service(folder / "model.server.fhe", "--processes", 1) as service:
        asker = Asker(service, folder, X[:1], clf.predict(X[:1]))
        processor_before, own_before = sum(service.cpu_seconds().values()), time.process_time()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start, processor = time.perf_counter(), time.process_time()
            server.run(request, keys)
            here.append(time.perf_counter() - start)
            processor_here += time.process_time() - processor
            start = time.perf_counter()
            asker.ask().raise_for_status()
            there.append(time.perf_counter() - start)
        service_seconds = sum(service.cpu_seconds().values()) - processor_before
        client_seconds = time.process_time() - own_before - processor_here
    passed = 1e3 * (statistics.median(there) - statistics.median(here))
    least = 1e3 * (min(there) - min(here))
    processor = 1e3 * (service_seconds + client_seconds - processor_here) / len(here)
    return (
        f"HTTP, processes and checks add to a request of one row: {passed:.1f} ms in the median, {least:.1f} ms to the "
        f"fastest; {processor:.1f} ms of processor time, the client's half of HTTP included ({len(here)} requests, in "
        "turns with evaluations in this process)."
    )


def measure_memory(folder: Path, n_models: int) -> str:
    """Of a service that has many models and nothing to do."""
    X, _ = load_breast_cancer(return_X_y=True)
    names = [f"m{number}" for number in range(n_models)]
    models = {name: save_model(folder, name, subsample=0.8, random_state=i) for i, name in enumerate(names)}
    n_bytes = sum((folder / f"{name}.server.fhe").stat().st_size for name in names)
    start = time.perf_counter()
    with Service(*(folder / f"{name}.server.fhe" for name in names), "--processes", 1) as service:
        started, fresh = time.perf_counter() - start, service.memory_bytes()
        for name in names[::10]:
            Asker(service, folder, X[:1], models[name].predict(X[:1]), name)
        used = service.memory_bytes()
    return (
        f"{n_models} different models ({n_bytes / 1e6:.1f} MB of archives, ready after {started:.0f} s): "
        f"{fresh / 1e6:.0f} MB at rest, {used / 1e6:.0f} MB after {len(names[::10])} of them were used."
    )


def soak(folder: Path, clf: FHEClassifier, minutes: float) -> str:
    """Clients that ask, come with fresh keys and send what is malformed; memory every second."""
    X, _ = load_breast_cancer(return_X_y=True)
    labels, stop, failures, sizes = clf.predict(X), threading.Event(), [], []
    counts = {"answered": 0, "refused as malformed": 0, "fresh keys": 0}
    lock = threading.Lock()
    with Service(folder / "model.server.fhe", "--processes", N_CORES, "--client-keys-bytes", 1 << 28) as service:

        def live(i: int) -> None:
            rng = np.random.default_rng(i)
            asker = Asker(service, folder, X[i : i + 1], labels[i : i + 1])
            while not stop.is_set():
                kind = rng.choice(list(counts), p=[0.9, 0.07, 0.03])
                try:
                    if kind == "fresh keys":
                        asker.start()
                    elif kind == "answered":
                        asker.ask().raise_for_status()
                    elif asker.ask(rng.bytes(int(rng.integers(1, 1 << 20)))).status_code != 400:
                        raise AssertionError("garbage was not refused")
                    with lock:
                        counts[kind] += 1
                except Exception as error:
                    failures.append(repr(error))

        askers = [threading.Thread(target=live, args=(i,)) for i in range(8)]
        for thread in askers:
            thread.start()
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            time.sleep(1.0)
            sizes.append(service.memory_bytes() / 1e6)
        stop.set()
        for thread in askers:
            thread.join()
    quarters = [statistics.median(part) for part in np.array_split(sizes, 4)]
    return (
        f"Soak of {minutes:g} minutes, 8 clients: {', '.join(f'{n:,} {kind}' for kind, n in counts.items())}, "
        f"{len(failures)} failures{''.join(f' ({text})' for text in sorted(set(failures))[:3])}; "
        f"memory in the median of each quarter: {', '.join(f'{size:.0f}' for size in quarters)} MB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each line of the table (default: 20)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="at a time (default: 1 8 32)")
    parser.add_argument("--models", type=int, default=100, help="of which memory is measured (default: 100; 0: none)")
    parser.add_argument(
        "--soak", type=float, default=0.0, metavar="MINUTES", help="clients of many kinds (default: none)"
    )
    options = parser.parse_args()
    X, _ = load_breast_cancer(return_X_y=True)
    header = ["", "clients", "least ms", "median ms", "95 % ms", "99 % ms", "rows a second", "refused"]

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clf = save_model(folder, "model")
        say("in this process ...")
        alone = evaluate_alone(str(folder), X[:1], options.seconds)
        rows = [cells("in process, one core", alone, 1, sum(alone))]
        busy = evaluate_on_all_cores(folder, X[:1], options.seconds)
        rows.append(cells(f"in process, {N_CORES} cores", busy, N_CORES, options.seconds))
        say("added ...")
        facts = [measure_added(folder, clf, options.seconds)]
        say("over HTTP ...")
        encrypted = measure_load(folder, clf, "over HTTP", options)
        share = float(encrypted[-1][6]) / float(rows[1][6])
        facts.append(
            f"{options.clients[-1]} clients get {share:.2f} of the rows a second of all cores busy in process."
        )
        if options.soak:
            say("soak ...")
            facts.append(soak(folder, clf, options.soak))
        say("in the clear ...")
        clear = measure_load(folder, save_model(folder, "model", backend="clear"), "in the clear, over HTTP", options)
        if options.models:
            say("memory ...")
            facts.append(measure_memory(folder, options.models))
    print(markdown(header, [*rows, *encrypted, *clear]))
    print("\n" + "\n".join(f"- {fact}" for fact in [*facts, f"{describe_machine()}; load {load:.1f} before"]))


if __name__ == "__main__":
    main()
