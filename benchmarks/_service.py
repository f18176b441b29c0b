"""``fhe-estimators serve`` in a process of its own, and what it takes of processor and memory (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx


class Service:
    """A service on a free port, which answers inside the ``with``.

    Parameters
    ----------
    *arguments : str
        Archives and options of the command.
    """

    def __init__(self, *arguments: Any):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._command = [sys.executable, "-m", "fhe_estimators", "serve", *map(str, arguments), "--port", str(port)]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait(self) -> None:
        """Until it answers."""
        while self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self.url + "/ready", trust_env=False).is_success:
                    return
            time.sleep(0.1)
        raise RuntimeError("The service did not start.")

    def kill(self) -> None:
        """End it at once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Service:
        self.wait()
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.terminate()
        self._process.wait()

    def processes(self) -> list[int]:
        """Itself and all that it started."""
        return list(_tree(self._process.pid))

    def cpu_seconds(self) -> dict[int, float]:
        """Processor time of each of its processes until now."""
        return {pid: seconds for pid in self.processes() if (seconds := _cpu_seconds(pid)) is not None}

    def memory_bytes(self) -> int:
        """Of all its processes; pages that several share are counted once."""
        return sum(_proportional_bytes(pid) for pid in self.processes())


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from _tree(int(child))


def _cpu_seconds(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _proportional_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    return 0
