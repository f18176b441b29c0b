"""What HTTP, processes and checks cost: latency and throughput of a service beside the same model in this process.

``python -m benchmarks.serving [--seconds 20] [--clients 1 8 32]``: XGBoost 50 x 3, one row a request, each client with
keys of its own. Requests are encrypted before, so that clients take no processor from the server; the first response
of each client is decrypted and compared.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import httpx
import numpy as np
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEGradientBoostingClassifier
from fhe_estimators.serving import FHEClient, FHEServer

from ._report import describe_machine, markdown


class Service:
    """``fhe-estimators serve`` on a free port."""

    def __init__(self, archive, *options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "fhe_estimators", "serve", str(archive), "--port", str(port), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def __enter__(self):
        while self.process.poll() is None:
            try:
                if httpx.get(self.url + "/ready", trust_env=False).is_success:
                    return self
            except httpx.TransportError:
                time.sleep(0.1)
        raise RuntimeError("The service did not start.")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


class Asker:
    """One client: sends its request again and again, and notes the seconds of each answer."""

    def __init__(self, service, archive, row, label):
        client = FHEClient.load(archive)
        self.http = httpx.Client(base_url=service.url, timeout=120, trust_env=False)
        keys_id = self.http.post("/v1/models/model/keys", content=client.generate_keys()).raise_for_status().json()
        self.url, self.request = f"/v1/models/model/predict?keys={keys_id['keys_id']}", client.encrypt(row)
        response = self.http.post(self.url, content=self.request).raise_for_status()
        np.testing.assert_array_equal(client.decrypt_predict(response.content, self.request), label)

    def run(self, end):
        self.seconds, self.refused = [], 0
        while (start := time.perf_counter()) < end:
            status = self.http.post(self.url, content=self.request).status_code
            if status == 200:
                self.seconds.append(time.perf_counter() - start)
            else:
                self.refused += 1


def in_process(archives, row, seconds):
    """Seconds of each evaluation in this process."""
    client, server = FHEClient.load(archives / "model.client.fhe"), FHEServer.load(archives / "model.server.fhe")
    keys, found = client.generate_keys(), []
    request = client.encrypt(row)
    server.run(request, keys)
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        server.run(request, keys)
        found.append(time.perf_counter() - start)
    return found


def measure(askers, seconds):
    end = time.perf_counter() + seconds
    threads = [threading.Thread(target=asker.run, args=(end,)) for asker in askers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [s for asker in askers for s in asker.seconds], sum(asker.refused for asker in askers)


def cells(seconds, n_clients, duration):
    cuts = statistics.quantiles(seconds, n=100)
    milliseconds = [f"{1e3 * value:.1f}" for value in (min(seconds), cuts[49], cuts[94], cuts[98])]
    return [str(n_clients), *milliseconds, f"{len(seconds) / duration:.1f}"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--processes", default="2")
    options = parser.parse_args()
    X, y = load_breast_cancer(return_X_y=True)
    clf = FHEGradientBoostingClassifier(n_estimators=50, max_depth=3, random_state=0, backend="ckks")
    clf.fit(X[::2], y[::2]).compile()
    header = ["", "clients", "least ms", "median ms", "95 % ms", "99 % ms", "rows a second", "refused"]
    with tempfile.TemporaryDirectory() as folder:
        archives = Path(folder)
        clf.save_server(archives / "model.server.fhe")
        clf.save_client(archives / "model.client.fhe")
        alone = in_process(archives, X[:1], options.seconds)
        rows = [["in this process, one processor", *cells(alone, 1, sum(alone)), "0"]]
        with Service(archives / "model.server.fhe", "--processes", options.processes) as service:
            archive, labels = archives / "model.client.fhe", clf.predict(X)
            askers = [Asker(service, archive, X[i : i + 1], labels[i : i + 1]) for i in range(max(options.clients))]
            for n_clients in options.clients:
                seconds, refused = measure(askers[:n_clients], options.seconds)
                rows.append(["over HTTP", *cells(seconds, n_clients, options.seconds), str(refused)])
                if n_clients == options.clients[0]:
                    added = 1e3 * (min(seconds) - min(alone))
    print(markdown(header, rows))
    print(f"\nAdded by HTTP, processes and checks to a request: {added:.1f} ms.\n{describe_machine()}")


if __name__ == "__main__":
    main()
