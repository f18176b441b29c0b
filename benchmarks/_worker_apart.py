"""A worker of SmolLM2 in a process of its own, so that the client's memory is the client's alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhe_estimators.datasets import fetch_smollm2

_COMMAND = [sys.executable, "-m", "fhe_estimators"]


@contextlib.contextmanager
def smollm2_apart() -> Iterator[tuple[Path, Any]]:
    """The client's part of SmolLM2, and a worker with the rest behind HTTP on this machine."""
    with tempfile.TemporaryDirectory() as folder:  # what an earlier release split is of no use
        parts = Path(folder) / "parts"
        subprocess.run([*_COMMAND, "split", str(fetch_smollm2()), "--out", str(parts)], check=True)
        with _serving(parts / "workers") as worker:
            yield parts / "client", worker


@contextlib.contextmanager
def _serving(weights: Path) -> Iterator[Any]:
    from fhe_estimators.exceptions import WorkerError
    from fhe_estimators.lora import HTTPWorker

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    worker = HTTPWorker(f"http://127.0.0.1:{port}", token=token)
    process = subprocess.Popen(
        [*_COMMAND, "worker", "--model", str(weights), "--port", str(port)],
        env={**os.environ, "FHE_ESTIMATORS_TOKEN": token},
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                worker.digests()
                break
            except WorkerError:
                time.sleep(0.1)
        yield worker
    finally:
        process.terminate()
        process.wait()
