"""Keys of a remote model, and requests that are repeated until they are answered (client side).

A request is repeated as it is: it is evaluated again and changes nothing on the server. After a response that had to
be refused the keys are given up, and the rows encrypted anew under fresh ones: a server that sends wrong responses on
purpose learns nothing about keys in use.
"""

from __future__ import annotations

import os
import random
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ...exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysRetiredError,
    ProtocolError,
    RequestMismatchError,
    ServiceError,
)
from ..archive import ClientModel, load_client_archive
from .connection import ServiceConnection, Traffic
from .fhe_client import FHEClient

T = TypeVar("T")
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0
#: Responses that had to be refused, and damaged ones, before a caller gives up.
_MAX_REFUSED, _MAX_DAMAGED = 2, 3
#: Processes of the server, or replicas, that may end over one request.
_MAX_DEATHS = 3
#: How long the first contact is tried: a wrong address shall be noticed soon.
_CONNECT_SECONDS = 15.0
#: Statuses of HTTP that pass: time-outs, too many requests, servers that stop or have no room, proxies without one.
_PASSING = (408, 425, 429, 502, 503, 504, 507)


@dataclass(frozen=True)
class _Generation:
    """One set of keys, and the name that the service knows its evaluation keys by."""

    client: FHEClient
    keys_id: str


class Session:
    """One data owner at one model of one service; threads share it.

    Parameters
    ----------
    connection : ServiceConnection
        To the service.
    client_archive : path-like or None
        The model as the client knows it; None to ask the service.
    keys_file : path-like or None
        Where keys are kept, encrypted; None for in memory only.
    password : str or None
        Of the file.
    retry_seconds : float
        How long a request is repeated before it counts as failed.
    """

    def __init__(
        self,
        connection: ServiceConnection,
        *,
        client_archive: str | os.PathLike | None = None,
        keys_file: str | os.PathLike | None = None,
        password: str | None = None,
        retry_seconds: float = 300.0,
    ):
        if keys_file is not None and not password:
            raise ValueError("keys_file needs a password: pass password=, from a secret store.")
        self._connection = connection
        self._keys_file, self._password = keys_file, password
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._generation: _Generation | None = None
        self.card = self._repeated(connection.card, min(retry_seconds, _CONNECT_SECONDS))
        self.model = self._load(client_archive)
        if self.model.spec.program_id != self.card["program_id"]:
            raise KeyMismatchError(
                f"The client archive belongs to another model than {connection.url} serves as {connection.model!r} "
                "(program_id differs): use the archive that belongs to the model served."
            )
        #: Without keys: for facts of the model, and to check rows.
        self.reader = FHEClient(self.model)

    def _load(self, client_archive: str | os.PathLike | None) -> ClientModel:
        if client_archive is not None:
            return load_client_archive(client_archive)
        content = self._repeated(self._connection.client_archive)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.client.fhe")
            path.write_bytes(content)
            return load_client_archive(path)

    @property
    def traffic(self) -> Traffic:
        """What was sent and received."""
        return self._connection.traffic

    def has_sent_keys(self) -> bool:
        """Whether evaluation keys were sent, or found on the server."""
        return self._generation is not None

    def ask(self, codes: np.ndarray, decrypt: Callable[[FHEClient, bytes, bytes], T]) -> T:
        """What a function decrypts from the response to quantized rows.

        Raises
        ------
        ServiceError
            If the service refuses the rows, or could not be reached for ``retry_seconds``.
        DecryptionError
            If responses were wrong again and again.
        """
        refused = 0
        while True:
            generation = self._current()
            try:
                request = generation.client.encrypt_codes(codes)
                return self._answered(generation, request, decrypt)
            except (DecryptionError, KeysRetiredError) as error:  # the latter: another thread's response was refused
                self._renew(generation)
                refused += isinstance(error, DecryptionError)
                if refused > _MAX_REFUSED:
                    raise

    def _answered(self, generation: _Generation, request: bytes, decrypt: Callable[[FHEClient, bytes, bytes], T]) -> T:
        for attempt in range(_MAX_DAMAGED):
            response = self._repeated(lambda: self._scored(generation, request))
            try:
                return decrypt(generation.client, response, request)
            except RequestMismatchError:
                raise
            except ProtocolError:  # damaged on the way, and noticed before it was decrypted
                if attempt + 1 == _MAX_DAMAGED:
                    raise
        raise AssertionError("unreachable")

    def _scored(self, generation: _Generation, request: bytes) -> bytes:
        try:
            return self._connection.score(request, generation.keys_id)
        except ServiceError as error:
            if error.code != "unknown_keys":
                raise
            with self._lock:  # they expired, or the server began anew
                self._connection.register_keys(generation.client.evaluation_keys)
            return self._connection.score(request, generation.keys_id)

    def _current(self) -> _Generation:
        with self._lock:
            if self._generation is None:
                self._generation = self._first()
            return self._generation

    def _first(self) -> _Generation:
        client = FHEClient(self.model)
        if self._keys_file is not None and Path(self._keys_file).exists():
            client.load_keys(self._keys_file, self._password or "")
        else:
            client.generate_keys()
            self._save(client)
        return self._registered(client)

    def _renew(self, refused: _Generation) -> None:
        """Fresh keys in place of some that were given up, unless another thread has made them."""
        with self._lock:
            if self._generation is refused:
                client = FHEClient(self.model)
                client.generate_keys()
                self._save(client)
                self._generation = self._registered(client)

    def _registered(self, client: FHEClient) -> _Generation:
        keys = client.evaluation_keys
        return _Generation(client, self._repeated(lambda: self._connection.register_keys(keys)))

    def _save(self, client: FHEClient) -> None:
        if self._keys_file is not None:
            client.save_keys(self._keys_file, self._password or "")

    def _repeated(self, ask: Callable[[], T], seconds: float | None = None) -> T:
        """An answer, asked for again after failures that pass."""
        end = time.monotonic() + (self._retry_seconds if seconds is None else seconds)
        wait, deaths = _FIRST_WAIT, 0
        while True:
            try:
                return ask()
            except ServiceError as error:
                if error.code == "key_mismatch":
                    raise _changed(self._connection, error) from error
                pause = max(wait * random.uniform(0.5, 1.0), error.retry_after or 0.0)
                deaths += error.code == "process_died" or _is_of_gateway(error)
                if not _passes(error) or deaths == _MAX_DEATHS or time.monotonic() + pause > end:
                    raise
            time.sleep(pause)
            wait = min(2 * wait, _LONGEST_WAIT)


def _passes(error: ServiceError) -> bool:
    """Whether the same request may be answered a little later."""
    if error.code == "unreachable":
        return not isinstance(error.__cause__, ssl.SSLError) and not isinstance(
            getattr(error.__cause__, "__cause__", None), ssl.SSLError
        )
    if error.status == 504 and error.code == "too_long":
        return False  # so it would be the next time
    return error.status in _PASSING or error.code in ("incomplete", "unknown_keys") or _is_of_gateway(error)


def _is_of_gateway(error: ServiceError) -> bool:
    """Whether what stands before a service failed, as Ray's does when a replica dies: its own failures have a code."""
    return error.status == 500 and not error.code


def _changed(connection: ServiceConnection, error: ServiceError) -> ServiceError:
    changed: Any = ServiceError(
        f"Service {connection.url} serves another model as {connection.model!r} than when this client connected: "
        "predictions of the two are not mixed. Call refresh() to go on with the model that is served now."
    )
    changed.status, changed.code = error.status, "model_changed"
    return changed
