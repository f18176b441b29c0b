"""Evaluation keys of clients on disk: bounded in size, each client's its own, forgotten when they are not used.

No name of a file comes from a client: a folder is the digest of the client's name and the program, a file the SHA-256
of its content.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...utils.http.server import Bodies, Refusal
from ...utils.http.server.metrics import Metrics
from ..http_protocol import KEYS_ID

_PARTIAL = ".partial-"
#: Files that are being received are left to those who receive them, unless they are as old as none of these can be.
_PARTIAL_SECONDS = 86_400.0


class KeyStore:
    """Evaluation keys by client, program and content.

    Parameters
    ----------
    folder : path-like
        For the keys; survives a restart if the folder does.
    largest_bytes : int
        Of one client's keys for one model.
    client_bytes : int
        Of all keys of a client: those that it used last are kept.
    total_bytes : int
        Of all keys: further ones are refused.
    seconds : float
        Keys that were not used for so long are removed.
    metrics : Metrics
        Where sizes are shown.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        *,
        largest_bytes: int,
        client_bytes: int,
        total_bytes: int,
        seconds: float,
        metrics: Metrics,
    ):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.largest_bytes, self._client_bytes = min(largest_bytes, client_bytes), client_bytes
        self._total_bytes, self.seconds = total_bytes, seconds
        self.remove_unused()
        metrics.gauge("fhe_keys_bytes", "Of evaluation keys on disk").set_function(
            lambda: sum(size for _, size, _ in self._files(self._folder))
        )

    def _place(self, client: str, program_id: str) -> Path:
        return self._folder / _name_of(client) / _name_of(program_id)

    def find(self, client: str, program_id: str, keys_id: str) -> Path | None:
        """The file of keys that this client sent for a program, which counts as used; None if there is none."""
        if not re.fullmatch(KEYS_ID, keys_id):
            return None
        path = self._place(client, program_id) / keys_id
        try:
            if time.time() - path.stat().st_mtime > self.seconds:
                path.unlink()
                return None
            _mark_used(path)
        except OSError:
            return None
        return path

    async def receive(self, request: Any, bodies: Bodies, client: str, program_id: str) -> Path:
        """Write a request's body to a file that is not yet `keep` t.

        Raises
        ------
        Refusal
            If it is too large, or there is no room.
        """
        self.remove_unused()
        place = self._place(client, program_id)
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=place, prefix=_PARTIAL)
        except OSError as error:
            raise _full() from error
        path = Path(name)
        room = self._total_bytes - sum(size for _, size, _ in self._files(self._folder))
        written = 0
        try:
            with os.fdopen(descriptor, "wb") as file:

                def write(part: bytes) -> None:
                    nonlocal written
                    written += len(part)
                    if written > room:
                        raise _full()
                    file.write(part)

                await bodies.receive(request, self.largest_bytes, write)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise _full() from error
            raise
        return path

    def keep(self, partial: Path, client: str) -> str:
        """Give a file that was received, and found right, its name; returns the name."""
        digest = hashlib.sha256()
        with partial.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
        keys_id = digest.hexdigest()
        os.replace(partial, partial.with_name(keys_id))
        _mark_used(partial.with_name(keys_id))
        self._trim(client, keys_id)
        return keys_id

    def remove(self, client: str, program_id: str, keys_id: str) -> bool:
        """Remove keys of a client; whether there were any."""
        path = self.find(client, program_id, keys_id)
        if path is not None:
            path.unlink(missing_ok=True)
        return path is not None

    def remove_unused(self) -> None:
        """Remove what was not used for long."""
        now = time.time()
        for used, _, path in self._files(self._folder):
            if now - used > (_PARTIAL_SECONDS if _is_partial(path) else self.seconds):
                path.unlink(missing_ok=True)

    def _trim(self, client: str, newest: str) -> None:
        files = [entry for entry in self._files(self._folder / _name_of(client)) if not _is_partial(entry[2])]
        files.sort(reverse=True)
        files.sort(key=lambda entry: entry[2].name != newest)
        total = 0
        for _, size, path in files:
            total += size
            if total > self._client_bytes:
                path.unlink(missing_ok=True)

    def _files(self, folder: Path) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, size and path of all keys under a folder, those included that are being received."""
        for parent, _, names in os.walk(folder):
            for name in names:
                with suppress(OSError):
                    path = Path(parent, name)
                    found = path.stat()
                    yield found.st_mtime, found.st_size, path


def _is_partial(path: Path) -> bool:
    return path.name.startswith(_PARTIAL)


def _mark_used(path: Path) -> None:
    now = time.time()  # of the clock that it is compared with
    os.utime(path, (now, now))


def _name_of(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _full() -> Refusal:
    return Refusal(507, "storage_full", "There is no room for evaluation keys on this server.", {"Retry-After": "10"})
