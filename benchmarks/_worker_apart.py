"""A worker of SmolLM2 in a process of its own, so that the client's memory is the client's alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhe_estimators.datasets import fetch_smollm2


@contextlib.contextmanager
def smollm2_apart() -> Iterator[tuple[Path, Any]]:
    """The client's part of SmolLM2, and a worker with the rest behind HTTP on this machine."""
    from fhe_estimators.exceptions import WorkerError
    from fhe_estimators.lora import HTTPWorker

    model = fetch_smollm2()
    parts = model.with_name("SmolLM2-135M-Instruct-parts")
    command = [sys.executable, "-m", "fhe_estimators"]
    if not parts.exists():
        subprocess.run([*command, "split", str(model), "--out", str(parts)], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    worker = HTTPWorker(f"http://127.0.0.1:{port}", token=token)
    process = subprocess.Popen(
        [*command, "worker", "--model", str(parts / "workers"), "--port", str(port)],
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
        yield parts / "client", worker
    finally:
        process.terminate()
        process.wait()
