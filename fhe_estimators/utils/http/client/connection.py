"""Requests to one server, bounded in bytes and in time whatever it sends (client side)."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from ....exceptions import ProtocolError
from ..._optional import import_optional
from .faults import address_fault, connection_fault
from .peer import Peer
from .tokens import is_loopback

T = TypeVar("T")

#: A time-out is longer by the time that a message takes at this pace, 8 Mbit/s: large answers are no stalled server.
SLOWEST_BYTES_PER_SECOND = 1_000_000
_CONNECT_SECONDS = 10.0
_ERROR_BYTES = 4096
#: Sockets take what they have room for, and what remains is copied each time: less, in small pieces.
_PIECE_BYTES = 1 << 18


class Connection:
    """Connections to one server, opened when they are needed and kept between requests.

    Compressed responses are refused, redirects are not followed, and no more is read than a response to the request
    can have. Proxies of the environment (``HTTPS_PROXY``, ``NO_PROXY``) are used for https:// only, where they cannot
    read what passes, and never for this machine.

    Parameters
    ----------
    url : str
        The address of the server.
    token : str or None
        Bearer token.
    timeout_seconds : float
        For a whole request, apart from the time its bytes need at `SLOWEST_BYTES_PER_SECOND`.
    verify : bool or str
        Check of the TLS certificate, or the path of a certificate authority's file.
    peer : Peer
        What kind of server it is: its errors, and how they are worded.
    """

    def __init__(self, url: str, token: str | None, timeout_seconds: float, verify: bool | str, peer: Peer):
        self._httpx = import_optional("httpx", extra="serving", purpose=f"{peer.name}s over HTTP")
        self._peer = peer
        self._url = url
        self._token = token
        self._timeout_seconds = timeout_seconds
        self._verify = verify
        self._client: Any = None

    def request(
        self,
        method: str,
        path: str,
        content: bytes | Sequence[bytes | memoryview] = b"",
        *,
        max_bytes: int,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> bytearray:
        """The body of a successful response, of at most ``max_bytes``; ``content`` may be several parts of bytes.

        Raises
        ------
        FHEError
            Of the kind that ``peer`` names, if the server cannot be reached, is too slow or refuses the request: a
            sentence that says what to do.
        ProtocolError
            If the response is compressed or too large.
        """
        fault = address_fault(self._url, self._peer)
        if fault:
            raise self._peer.error(f"{self._peer.name} {self._url} cannot be reached: {fault}")
        parts = [content] if isinstance(content, bytes) else content
        n_bytes = sum(len(part) for part in parts)
        seconds = self._timeout_seconds + (n_bytes + max_bytes) / SLOWEST_BYTES_PER_SECOND
        stopped = threading.Event()
        described = {"Content-Type": media_type, "Content-Length": str(n_bytes)} if n_bytes else {}
        headers = {**(headers or {}), **described}

        def exchange() -> bytearray:
            body = _pieces(parts) if n_bytes else None
            with self._open().stream(method, path, content=body, headers=headers) as response:
                return self._read(response, path, max_bytes, stopped)

        try:
            return _within(seconds, exchange)
        except FutureTimeoutError:
            stopped.set()
            self._client = None  # what still waits in it is left to itself
            raise self._peer.unreachable(
                f"{self._peer.name} {self._url} did not answer in time: no response within {seconds:.0f} s."
            ) from None
        except (self._httpx.HTTPError, self._httpx.InvalidURL, ssl.SSLError, OSError) as error:
            fault = connection_fault(error, self._timeout_seconds, self._url, self._peer)
            raise self._peer.unreachable(f"{self._peer.name} {self._url} {fault}") from error

    def _read(self, response: Any, path: str, max_bytes: int, stopped: threading.Event) -> bytearray:
        failed = not 200 <= response.status_code < 300
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity" and not failed:
            raise ProtocolError(
                f"{self._peer.name} {self._url} sent a compressed response, which was not read: it must send none."
            )
        body = bytearray()
        for part in response.iter_raw():
            if stopped.is_set():
                break
            body += part
            if failed and len(body) > _ERROR_BYTES:
                break
            if len(body) > max_bytes:
                raise ProtocolError(
                    f"{self._peer.name} {self._url} sent more than {max_bytes} bytes, the most that a response to "
                    f"{path} can have."
                )
        if failed:
            raise self._peer.refusal(
                self._url, response.status_code, response.headers, body, path, has_token=self._token is not None
            )
        return body

    def _open(self) -> Any:
        client = self._client
        if client is None:
            headers = {"Accept-Encoding": "identity"}
            if self._token is not None:
                headers["Authorization"] = f"Bearer {self._token}"
            seconds = self._timeout_seconds
            client = self._client = self._httpx.Client(
                base_url=self._url,
                headers=headers,
                timeout=self._httpx.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS)),
                verify=self._trusted(),
                trust_env=self._url.lower().startswith("https:") and not is_loopback(self._url),
                follow_redirects=False,
            )
        return client

    def _trusted(self) -> Any:
        if isinstance(self._verify, str):
            return ssl.create_default_context(cafile=self._verify)
        return self._httpx.create_ssl_context(verify=self._verify)


def _pieces(parts: Sequence[bytes | memoryview]) -> Iterator[memoryview]:
    for part in parts:
        for start in range(0, len(part), _PIECE_BYTES):
            yield memoryview(part)[start : start + _PIECE_BYTES]


def _within(seconds: float, work: Callable[[], T]) -> T:
    """The result of a function that runs in a thread of its own, or its error; it is left behind after the time.

    Time-outs of sockets begin anew with every byte, so that a worker that sends one now and then would hold a caller
    for ever.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="fhe_estimators-request").start()
    return future.result(timeout=seconds)
