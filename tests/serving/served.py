"""A service of tests: an application in a thread, evaluations in real processes."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time

import httpx
from sklearn.datasets import load_iris

from fhe_estimators import FHEDecisionTreeClassifier
from fhe_estimators.serving.server.app import create_app
from fhe_estimators.serving.server.service import Limits, ScoringService
from fhe_estimators.utils.http.server import TokenList
from tests.lora.served import Served, free_port

ALICE, BOB = {"Authorization": "Bearer token-of-alice"}, {"Authorization": "Bearer token-of-bob"}
TOKENS = {"token-of-alice": "alice", "token-of-bob": "bob"}


def iris_model(folder, *, backend="clear", max_depth=2, name="model"):
    """A compiled tree, its archives in a folder, and its rows."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    clf = FHEDecisionTreeClassifier(max_depth=max_depth, random_state=0, backend=backend).fit(X, y).compile()
    clf.save_server(folder / f"{name}.server.fhe")
    clf.save_client(folder / f"{name}.client.fhe")
    return clf, X


@contextlib.contextmanager
def served(archives, *, tokens=TOKENS, keys_folder=None, private=False, **limits):
    """A service and where it is."""
    service = ScoringService(
        [str(archive) for archive in archives],
        tokens=TokenList(tokens),
        limits=Limits(**{"n_processes": 1, **limits}),
        keys_folder=keys_folder,
        private=private,
    )
    asyncio.run(service.load())
    with Served(create_app(service)) as server:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as http:
            yield service, server.url, http
        assert server.is_alive


def metric(http, name):
    """The sum of a metric over its labels."""
    lines = http.get("/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + "{", name + " ")))


class OwnProcess:
    """A command in a process of its own, which ends with the context at the latest."""

    process: subprocess.Popen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=60)


class Command(OwnProcess):
    """``fhe-estimators serve`` in a process of its own, which answers when this is made."""

    def __init__(self, *arguments, port=None):
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "fhe_estimators", "serve", *map(str, arguments), "--port", str(self.port)]
        environment = {name: value for name, value in os.environ.items() if name != "FHE_ESTIMATORS_TOKEN"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url + "/ready", trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(self.process.communicate(timeout=10)[0])

    def stop(self):
        """Ask it to stop; its output."""
        self.process.terminate()
        return self.process.communicate(timeout=60)[0]


#: Where evaluation keys for the model go.
KEYS = "/v1/models/model/keys"


def registered(http, client, headers=ALICE):
    return http.post(KEYS, content=client.evaluation_keys, headers=headers).json()["keys_id"]


def predict(http, keys_id, content, headers=ALICE):
    return http.post(f"/v1/models/model/predict?keys={keys_id}", content=content, headers=headers)


def code(response):
    body = response.json()
    assert set(body) == {"detail", "code"} and body["detail"]
    return response.status_code, body["code"]
