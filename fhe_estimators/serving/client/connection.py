"""What a client asks of a scoring service, one request each (client side)."""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from ...exceptions import FHEError, ProtocolError, ServiceError
from ...utils.http.client.connection import Connection
from ...utils.http.client.faults import excerpt, page_fault, status_fault
from ...utils.http.client.peer import Peer
from ...utils.http.client.tokens import check_token, configured_token, environment_token
from ..http_protocol import BINARY, MODELS_PATH, TIMEOUT_HEADER

_MAX_CARD_BYTES, _MAX_ARCHIVE_BYTES, _MAX_ANSWER_BYTES = 1 << 24, 1 << 30, 1 << 31


class _ServicePeer(Peer):
    """A scoring service: its refusals carry a code."""

    def unreachable(self, message: str) -> FHEError:
        error = ServiceError(message)
        error.code = "unreachable"
        return error

    def refusal(
        self,
        url: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        path: str,
        *,
        has_token: bool,
    ) -> FHEError:
        code = ""
        with suppress(ValueError, TypeError, KeyError, RecursionError):
            code = str(json.loads(bytes(body))["code"])[:40]
        known = code if code.replace("_", "").isalpha() else ""
        if known and status != 401:
            message = f"refused the request (HTTP {status}): {excerpt(body)}"
        else:
            message = status_fault(status, headers, body, path, self, has_token=has_token)
        error = ServiceError(f"{self.name} {url} {message}")
        error.status, error.code = status, known
        with suppress(ValueError, OverflowError):
            seconds = float(headers.get("retry-after", "nan"))
            error.retry_after = min(seconds, 3600.0) if math.isfinite(seconds) and seconds >= 0 else None
        return error


SERVICE = _ServicePeer(
    name="Service",
    type_name="RemoteModel",
    command="fhe-estimators serve",
    example="https://scores.example:8000",
    listing="list of models",
    size_parameter="rows_per_request",
    error=ServiceError,
)


class Traffic:
    """What went to a service and came back, in bytes of bodies; threads may count at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = {"key_bytes": 0, "request_bytes": 0, "response_bytes": 0, "requests": 0}

    def add(self, **counts: int) -> None:
        """Count some more."""
        with self._lock:
            for name, count in counts.items():
                self._counts[name] += count

    def counts(self) -> dict[str, int]:
        """``key_bytes``, ``request_bytes``, ``response_bytes`` and ``requests`` so far; repeated ones count again."""
        with self._lock:
            return dict(self._counts)


class ServiceConnection:
    """Requests to one model of one service.

    Parameters
    ----------
    url : str
        Of the service.
    model : str or None
        Name of the model; None for the only one.
    token : str or None
        None: from the environment, as for workers.
    timeout_seconds : float
        Of a request.
    verify : bool or str
        Check of the TLS certificate, or the path of an authority's file.
    allow_insecure_token : bool
        Whether the token may cross a network in the clear.
    """

    def __init__(
        self,
        url: str,
        model: str | None,
        *,
        token: str | None,
        timeout_seconds: float,
        verify: bool | str,
        allow_insecure_token: bool,
    ):
        token = token or configured_token(url) or environment_token()
        check_token(url, token, SERVICE, allow_insecure=allow_insecure_token)
        self.url = url
        self.traffic = Traffic()
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._connection = Connection(url, token, timeout_seconds, verify, SERVICE)

    def models(self) -> list[dict[str, Any]]:
        """What the service serves."""
        found = self._json("GET", MODELS_PATH).get("models")
        if not isinstance(found, list) or not all(
            isinstance(m, dict) and isinstance(m.get("name"), str) for m in found
        ):
            raise ProtocolError(f"Service {self.url} sent no list of models.")
        return found

    @property
    def model(self) -> str:
        """The model's name."""
        if self._model is None:
            names = [model["name"] for model in self.models()]
            if len(names) != 1:
                raise ServiceError(f"Service {self.url} has several models: choose one of {names} by model=.")
            self._model = names[0]
        return self._model

    @property
    def _path(self) -> str:
        return f"{MODELS_PATH}/{quote(self.model, safe='')}"

    def card(self) -> dict[str, Any]:
        """Facts of the model."""
        card = self._json("GET", self._path)
        if not isinstance(card.get("program_id"), str) or not isinstance(card.get("describe"), dict):
            raise ProtocolError(f"Service {self.url} sent no card of the model.")
        return card

    def client_archive(self) -> bytes:
        """The archive that `FHEClient` loads."""
        return bytes(self._connection.request("GET", self._path + "/client", max_bytes=_MAX_ARCHIVE_BYTES))

    def register_keys(self, evaluation_keys: bytes, *, may_be_known: bool = True) -> str:
        """The name that the service gives evaluation keys, which are sent if it does not know them."""
        if may_be_known:
            keys_id = hashlib.sha256(evaluation_keys).hexdigest()
            try:
                return str(self._json("GET", f"{self._path}/keys/{keys_id}")["keys_id"])
            except ServiceError as error:
                if error.code != "unknown_keys":
                    raise
        self.traffic.add(key_bytes=len(evaluation_keys))
        answer = self._json("POST", self._path + "/keys", evaluation_keys)
        keys_id = str(answer.get("keys_id"))
        if len(keys_id) != 64 or not keys_id.isalnum():
            raise ProtocolError(f"Service {self.url} gave the evaluation keys no name.")
        return keys_id

    def score(self, request: bytes, keys_id: str) -> bytes:
        """The service's response to a request."""
        path = f"{self._path}/predict?keys={keys_id}"
        self.traffic.add(request_bytes=len(request), requests=1)
        answer = self._connection.request(
            "POST",
            path,
            request,
            max_bytes=_MAX_ANSWER_BYTES,
            media_type=BINARY,
            headers={TIMEOUT_HEADER: f"{self._timeout_seconds:.3f}"},
        )
        self.traffic.add(response_bytes=len(answer))
        return bytes(answer)

    def _json(self, method: str, path: str, content: bytes = b"") -> dict[str, Any]:
        body = self._connection.request(method, path, content, max_bytes=_MAX_CARD_BYTES, media_type=BINARY)
        try:
            found = json.loads(bytes(body))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ProtocolError(f"Service {self.url} {page_fault(body, SERVICE)}")
        return found
