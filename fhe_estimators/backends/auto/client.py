"""The data owner's half: a client of each engine, with keys of its own, behind one session."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, cast

import numpy as np

from ...exceptions import (
    DecryptionError,
    KeyMismatchError,
    KeysMissingError,
    ProtocolError,
    RequestMismatchError,
)
from .._base import Client
from .._program import ClientSpec
from .._registry import resolve_backend
from ..client import SessionClient, SessionKeys
from ..messages import unpack_message
from .bundles import engine_of, pack_bundle, unpack_bundle
from .choice import ENGINES, Choice


@dataclass
class _Session:
    """Keys of some engines that belong together.

    Parameters
    ----------
    key_id : str
        Identity of the bundle; each engine's keys have one of their own.
    engines : set of str
        Engines that there are keys for.
    grows : bool, default=False
        Whether keys of other engines are made when a request needs them.
    """

    key_id: str
    engines: set[str] = field(default_factory=set)
    grows: bool = False


class AutoClient(Client):
    """Encrypts each request for the faster engine for its number of rows.

    Requests and responses are those of the engines; only keys travel together. A response is decrypted by the engine
    that made the request, under that engine's keys.

    Parameters
    ----------
    spec : ClientSpec
        What a client must know of a program.
    verbose : int, default=0
        Progress bars if positive.
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        specs = _specs_by_engine(spec)
        self.choice = Choice.from_json(spec.metadata.get("choice"), specs)
        self._clients = {name: _session_client(name, each, verbose) for name, each in specs.items()}
        self._engine_of_program = {each.program_id: name for name, each in specs.items()}
        self._lock = RLock()
        self._session = SessionKeys[_Session]()
        self._last: str | None = None
        self._bundle: tuple[tuple[str, ...], bytes] | None = None

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines of the program, for ``backend`` of `generate_keys` and `encrypt`."""
        return tuple(self._clients)

    def generate_keys(self, backend: str | None = None) -> bytes:
        """Make fresh keys in place of any earlier ones.

        Parameters
        ----------
        backend : str, default=None
            The only engine to make keys for; None for all that may take a request.

        Returns
        -------
        evaluation_keys : bytes
            Public.
        """
        engines = self.choice.engines if backend is None else (self._checked(backend),)
        with self._lock:
            self._begin(grows=False)
            for name in engines:
                self._make_keys(name)
            return self.evaluation_keys

    def start_session(self) -> None:
        with self._lock:
            self._begin(grows=True)

    def _begin(self, *, grows: bool) -> None:
        for client in self._clients.values():
            client.forget_keys()
        self._session.replace(_Session(os.urandom(16).hex(), grows=grows))
        self._last, self._bundle = None, None

    def _make_keys(self, engine: str) -> None:
        session = self._session.current()
        self._clients[engine].generate_keys()
        session.engines.add(engine)

    @property
    def evaluation_keys(self) -> bytes:
        with self._lock:
            session = self._session.current()
            if not session.engines:
                for name in self.choice.engines:
                    self._make_keys(name)
            engines = self._with_keys(session)
            if self._bundle is None or self._bundle[0] != engines:
                keys = {name: self._clients[name].evaluation_keys for name in engines}
                self._bundle = engines, pack_bundle("evaluation_keys", self._identity(session), keys)
            return self._bundle[1]

    def _identity(self, session: _Session) -> dict[str, str]:
        return {"program_id": self.spec.program_id, "key_id": session.key_id}

    def _with_keys(self, session: _Session) -> tuple[str, ...]:
        return tuple(name for name in self._clients if name in session.engines)

    def export_keys(self) -> bytes:
        with self._lock:
            session = self._session.current()
            self.evaluation_keys  # noqa: B018 - makes the keys of a session that has none yet
            keys = {name: self._clients[name].export_keys() for name in self._with_keys(session)}
            return pack_bundle("client_keys", self._identity(session), keys)

    def import_keys(self, keys: bytes) -> None:
        key_id, by_engine = unpack_bundle("client_keys", keys, self.spec.program_id, self._clients)
        self._session.check(key_id)
        for name, of_engine in by_engine.items():  # all of them, or none
            spec = self._clients[name].spec
            _session_client(name, spec, 0).import_keys(of_engine)
        with self._lock:
            self._begin(grows=False)
            for name, of_engine in by_engine.items():
                self._clients[name].import_keys(of_engine)
            self._session.replace(_Session(key_id, set(by_engine)))

    def encrypt(self, codes: np.ndarray, backend: str | None = None) -> bytes:
        """Encrypt quantized rows for an engine.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that the program's quantizer gives the rows.
        backend : str, default=None
            The engine; None for the fastest of those that there are keys for.

        Returns
        -------
        request : bytes
            The encrypted request, for `AutoEvaluator.run` and for `decrypt`.

        Raises
        ------
        KeysMissingError
            If there are no keys for the engine, or they are retired.
        """
        with self._lock:
            session = self._session.current()
            if backend is None:
                engine = self.choice.engine_for(len(codes), None if session.grows else session.engines)
            else:
                engine = self._checked(backend)
            if engine not in session.engines:
                if not session.grows:
                    raise KeysMissingError(
                        f"This client has no keys for the engine {engine!r}: call generate_keys(backend={engine!r})."
                    )
                self._make_keys(engine)
        request = self._ready(engine).encrypt(codes)
        self._last = engine
        return request

    def decrypt(self, response: bytes, request: bytes | None = None) -> np.ndarray:
        session = self._session.current()
        engine = engine_of("response", response, self._engine_of_program)
        asked = self._last if request is None else engine_of("request", request, self._engine_of_program)
        if engine not in session.engines:
            raise KeyMismatchError(f"The response was made under other keys: this client has none for {engine!r}.")
        if asked is not None and asked != engine:
            unpack_message("response", response)  # one that is damaged answers nothing
            what = "the last request of this client" if request is None else "the request that was passed"
            raise RequestMismatchError(
                f"The response answers another request than {what}: it is one of {engine!r}, and the request of "
                f"{asked!r}. Pass the request that it belongs to as decrypt(response, request=...)."
            )
        try:
            return self._ready(engine).decrypt(response, request)
        except DecryptionError:
            self._retire(session)
            raise

    def _retire(self, session: _Session) -> None:
        """Give up the keys of all engines: none of them is used with that server again."""
        with self._lock:
            if self._session.retire(session):
                for client in self._clients.values():
                    client.forget_keys(for_good=True)

    def _ready(self, engine: str) -> SessionClient:
        client = self._clients[engine]
        client.verbose, client.memory_budget_bytes = self.verbose, self.memory_budget_bytes
        return client

    def _checked(self, backend: str) -> str:
        if backend not in self._clients:
            raise ValueError(f"backend={backend!r} is no engine of this program: use one of {sorted(self._clients)}.")
        return backend


def _session_client(name: str, spec: ClientSpec, verbose: int) -> SessionClient:
    return cast(SessionClient, resolve_backend(name).client(spec, verbose=verbose))


def _specs_by_engine(spec: ClientSpec) -> dict[str, ClientSpec]:
    """What the client of each engine needs; `ProtocolError` if it is malformed."""
    engines: Any = spec.metadata.get("engines")
    if not isinstance(engines, dict) or not engines or not set(engines) <= set(ENGINES):
        raise ProtocolError(f"A client of several engines is one of {' or '.join(ENGINES)}, and no others.")
    specs = {}
    for name, each in engines.items():
        if not isinstance(each, dict) or not isinstance(each.get("metadata"), dict):
            raise ProtocolError(f"What the client of the engine {name!r} needs is malformed.")
        arrays = {k.removeprefix(f"{name}."): v for k, v in spec.arrays.items() if k.startswith(f"{name}.")}
        specs[name] = ClientSpec(name, str(each.get("program_id")), each["metadata"], arrays)
    return specs
