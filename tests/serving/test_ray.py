"""The service in replicas of Ray Serve, on a cluster of this machine (`make test-ray`)."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")

import httpx

from fhe_estimators.serving import RemoteModel
from fhe_estimators.serving.ray_app import build, ray_app
from tests.lora.served import free_port
from tests.serving.served import iris_model

N_REPLICAS = 2


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    ray = pytest.importorskip("ray")
    from ray import serve

    folder = tmp_path_factory.mktemp("models")
    clf, X = iris_model(folder, backend="ckks")
    (folder / "tokens").write_text("alice token-of-alice\n")
    port = free_port()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    app = ray_app(
        [folder / "model.server.fhe"],
        keys_dir=folder / "keys",
        token_file=folder / "tokens",
        deployment={"num_replicas": N_REPLICAS, "health_check_period_s": 1},
    )
    serve.run(app)
    yield f"http://127.0.0.1:{port}", clf, X, folder / "keys"
    serve.shutdown()
    ray.shutdown()


def replicas():
    """Numbers of the processes of all replicas, by the title that Ray gives them."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().startswith(b"ray::ServeReplica:default:scores"):
                found.add(int(path.parent.name))
    return found


@pytest.mark.slow
def test_scores_are_exact_whichever_replica_has_received_the_keys(deployed):
    url, clf, X, keys = deployed
    remote = RemoteModel(url, token="token-of-alice", rows_per_request=10, n_concurrent=8)
    for method in ("predict", "predict_proba"):
        np.testing.assert_array_equal(getattr(remote, method)(X), getattr(clf, method)(X))
    assert len(list(keys.glob("*/*/*"))) == 1  # sent once
    assert httpx.get(url + "/v1/models", trust_env=False).status_code == 401
    assert httpx.get(url + "/ready", trust_env=False).json()["models"] == 1


@pytest.mark.slow
def test_a_replica_that_is_killed_under_load(deployed):
    url, clf, X, _ = deployed
    rows = X.iloc[np.random.default_rng(0).integers(len(X), size=1000)]
    remote = RemoteModel(url, token="token-of-alice", rows_per_request=5, n_concurrent=6)
    remote.predict(X[:1])
    found = []
    asking = threading.Thread(target=lambda: found.append(remote.predict(rows)))
    asking.start()
    time.sleep(1.0)
    assert asking.is_alive()
    victim = min(replicas())
    os.kill(victim, signal.SIGKILL)
    asking.join(timeout=300)
    np.testing.assert_array_equal(found[0], clf.predict(rows))
    end = time.monotonic() + 120
    while len(replicas() - {victim}) < N_REPLICAS:
        assert time.monotonic() < end
        time.sleep(0.5)
    np.testing.assert_array_equal(remote.predict(X), clf.predict(X))


def test_arguments():
    pytest.importorskip("ray")
    for arguments in ({}, {"archives": "x"}, {"archives": "x", "keys_dir": "y", "replicas": 3}):
        with pytest.raises(ValueError, match="archives= and keys_dir= are needed"):
            build(arguments)
    for archives in ("x", []):
        with pytest.raises(ValueError, match="archives must be a sequence"):
            ray_app(archives, keys_dir="y")
    assert build({"archives": "x,y", "keys_dir": "z"}) is not None
