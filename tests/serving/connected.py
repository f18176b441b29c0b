"""A service whose model has reasons, and the page of `fhe-estimators connect` for it."""

import contextlib
import re
import subprocess
import sys
import time

import numpy as np
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from starlette.testclient import TestClient

from fhe_estimators import FHEClassifier
from fhe_estimators.estimators import FHEContributions
from fhe_estimators.serving import RemoteModel
from fhe_estimators.serving.client.connect.app import create_app
from tests.serving.served import OwnProcess, served

TOKEN, SECRET, HOST = "token-of-alice", "secret-of-the-page", "127.0.0.1:4321"
#: A feature and a label whose texts are markup.
HOSTILE = "<img src=x onerror='document.title=1'>"
LABELS = np.array(["=first", "<b>second</b>", "third"])
AUTHORIZED = {"Authorization": f"Bearer {SECRET}", "Origin": f"http://{HOST}"}


def hostile_model(folder, backend="ckks"):
    """A forest with reasons, its archives in a folder, and rows with names."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    X.columns = [HOSTILE, *X.columns[1:]]
    forest = RandomForestClassifier(2, max_depth=2, random_state=0)
    clf = FHEClassifier(forest, backend=backend).fit(X, LABELS[y]).compile()
    for name, estimator in (("model", clf), ("reasons", FHEContributions(clf).fit().compile())):
        estimator.save_server(folder / f"{name}.server.fhe")
        estimator.save_client(folder / f"{name}.client.fhe")
    return clf, X


@contextlib.contextmanager
def hostile_service(folder):
    """That model at a URL."""
    with served([folder / "model.server.fhe", folder / "reasons.server.fhe"], n_processes=2) as found:
        yield found


def page_of(url, **parameters):
    """The application for it, without a browser."""
    remote = RemoteModel(url, model="model", token=TOKEN, **parameters)
    return TestClient(create_app(remote, hosts={HOST}, token=SECRET), base_url=f"http://{HOST}"), remote


class Connect(OwnProcess):
    """``fhe-estimators connect`` in a process of its own; ``address`` is what it prints."""

    def __init__(self, url, token_file, *arguments):
        command = [sys.executable, "-m", "fhe_estimators", "connect", url, "--model", "model"]
        options = ["--token-file", str(token_file), "--no-browser", *arguments]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/#\S+", line)
        assert found, line + self.process.communicate(timeout=60)[0]
        self.address = found[0]

    def stop(self):
        """As Ctrl-C does; its exit status."""
        self.process.send_signal(2)
        return self.process.wait(timeout=30)


def finished(page, response):
    """The last status of a job that a response began."""
    assert response.status_code == 200, response.text
    end = time.monotonic() + 60
    while (status := page.get(f"/api/jobs/{response.json()['job']}", headers=AUTHORIZED).json())["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.02)
    return status
