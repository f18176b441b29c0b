"""Concrete's native libraries handle signals of the whole process; a server must not end when a client hangs up."""

import subprocess
import sys

import pytest

pytest.importorskip("concrete")

CODE = """
import os, signal, socket, threading
import numpy as np
from fhe_estimators import FHEDecisionTreeClassifier

X, y = np.array([[0.0], [1.0]] * 5), np.array([0, 1] * 5)
clf = FHEDecisionTreeClassifier(max_depth=1, backend="tfhe").fit(X, y).compile()
assert (clf.predict(X[:1], fhe="execute") == y[:1]).all()
ours, theirs = socket.socketpair()
theirs.close()
try:
    ours.sendall(b"x")
except BrokenPipeError:
    print("alive")
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_process_survives_a_client_that_hangs_up_and_can_be_interrupted():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["alive", "interrupted"]
