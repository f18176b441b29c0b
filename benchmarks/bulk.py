"""Tables of many rows: ``fhe-estimators predict`` killed and resumed twice, and how evaluation grows with processes.

``python -m benchmarks.bulk [--rows 1000000]``: XGBoost 50 x 3 on rows like those of breast cancer. The table is Parquet
where pyarrow is installed, else CSV. Backends of joblib (loky, Dask, Ray) are measured if they are installed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEClassifier
from fhe_estimators.serving import FHEClient, FHEServer

from ._report import describe_machine, markdown
from ._service import Service
from ._workloads import resampled
from .serving import N_CORES, save_model

ENDING = ".parquet" if find_spec("pyarrow") else ".csv"


def write_rows(path: Path, X: np.ndarray) -> None:
    frame = pd.DataFrame(X, columns=[f"feature {i}" for i in range(X.shape[1])]).assign(id=np.arange(len(X)))
    frame.to_parquet(path) if path.suffix == ".parquet" else frame.to_csv(path, index=False)


def read_scores(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def predict(service: Service, rows: Path, out: Path, kill_at: tuple[int, ...] = ()) -> float:
    """Seconds of the command, which is killed when so many rows are scored and then started again."""
    command = [sys.executable, "-m", "fhe_estimators", "predict", service.url, rows, "--out", out, "--keep", "id"]
    journal, start = out.with_name(out.name + ".progress.json"), time.perf_counter()
    for n_rows in kill_at:
        with subprocess.Popen([*command, "--quiet"]) as process:
            while not journal.exists() or json.loads(journal.read_text())["rows"] < n_rows:
                if process.poll() is not None:
                    raise RuntimeError("It ended before it was killed.")
                time.sleep(0.05)
            process.kill()
    subprocess.run([*command, "--quiet"], check=True)
    return time.perf_counter() - start


def killed_twice(folder: Path, clf: FHEClassifier, n_rows: int) -> str:
    X = resampled(load_breast_cancer(return_X_y=True)[0], n_rows)
    rows, out = folder / f"rows{ENDING}", folder / f"scores{ENDING}"
    write_rows(rows, X)
    with Service(folder / "model.server.fhe", "--processes", N_CORES) as service:
        seconds = predict(service, rows, out, (n_rows // 3, 2 * n_rows // 3))
    scores = read_scores(out)
    once = "once" if np.array_equal(scores["id"], np.arange(n_rows)) else "NOT once"
    right = "right" if np.array_equal(scores["prediction"], clf.predict(X)) else "NOT right"
    return (
        f"{n_rows:,} rows from and to {ENDING[1:]}, killed and resumed twice: each row {once} and {right}, "
        f"{seconds:.0f} s ({n_rows / seconds:,.0f} rows a second, encryption and service on the same {N_CORES} cores)."
    )


@contextmanager
def backend(kind: str) -> Any:
    """A local cluster of a kind, known to joblib."""
    if kind == "dask":
        from distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)
        with cluster, Client(cluster):
            yield
    elif kind == "ray":
        import ray
        from ray.util.joblib import register_ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        register_ray()
        yield
        ray.shutdown()
    else:
        yield


def growth(folder: Path, n_batches: int) -> list[list[str]]:
    """Seconds of one request of many batches in one and two processes of each backend."""
    client, server = FHEClient.load(folder / "model.client.fhe"), FHEServer.load(folder / "model.server.fhe")
    X = resampled(load_breast_cancer(return_X_y=True)[0], n_batches * server.describe()["rows_per_batch"])
    client.new_session()
    request = client.encrypt(X)
    keys = client.evaluation_keys
    kinds = ["loky", *(["dask"] if find_spec("distributed") else []), *(["ray"] if find_spec("ray") else [])]
    table = []
    for kind in kinds:
        with backend(kind):
            seconds = []
            for n_jobs in (1, 2):
                with joblib.parallel_config(backend=kind, n_jobs=n_jobs):
                    server.run(request, keys)  # processes have started, and have parsed the keys
                    start = time.perf_counter()
                    response = server.run(request, keys)
                    seconds.append(time.perf_counter() - start)
        client.decrypt_predict(response, request)
        one, two = (len(X) / value for value in seconds)
        table.append([f"joblib, {kind}", f"{one:,.0f}", f"{two:,.0f}", f"{two / one:.2f}"])
    return table


def service_growth(folder: Path, n_rows: int) -> list[str]:
    rows, found = folder / f"few{ENDING}", []
    write_rows(rows, resampled(load_breast_cancer(return_X_y=True)[0], n_rows))
    for n_processes in (1, 2):
        with Service(folder / "model.server.fhe", "--processes", n_processes) as service:
            out = folder / f"few{n_processes}{ENDING}"
            found.append(n_rows / predict(service, rows, out))
    return ["`predict` and a service", *(f"{value:,.0f}" for value in found), f"{found[1] / found[0]:.2f}"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table (default: 1,000,000)")
    parser.add_argument("--batches", type=int, default=16, help="of a request, for growth (default: 16; 0: none)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clf = save_model(folder, "model")
        table = growth(folder, options.batches) if options.batches else []
        table += [service_growth(folder, options.rows // 10)] if options.batches else []
        fact = killed_twice(folder, clf, options.rows)
    if table:
        print(markdown(["rows a second", "1 process", "2 processes", "growth"], table) + "\n")
    print(f"- {fact}\n- {describe_machine()}")


if __name__ == "__main__":
    main()
