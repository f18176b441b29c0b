"""An application on a port (server side)."""

from __future__ import annotations

from typing import Any

from ..._optional import import_optional
from .middleware import SEND_SECONDS

#: In which a connection must have sent a request's head.
HEAD_SECONDS = 30.0
#: Connections at a time; those beyond are answered 503.
MAX_CONNECTIONS = 1000


def run_application(
    app: Any,
    *,
    host: str,
    port: int,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
    grace_seconds: float | None = None,
) -> None:
    """Serve an application until interrupted; what was accepted is answered first.

    Parameters
    ----------
    app : ASGI application
        What is served.
    host, port : str, int
        Where.
    ssl_certfile, ssl_keyfile : str, default=None
        Files of a certificate and its key, for HTTPS.
    grace_seconds : float, default=None
        That requests under way have to end when the server is stopped; None for as long as they take.
    """
    uvicorn = import_optional("uvicorn", extra="serving", purpose="A server over HTTP")
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=impatient_protocol(),
        limit_concurrency=MAX_CONNECTIONS,
        ssl_certfile=ssl_certfile,
        ssl_keyfile=ssl_keyfile,
        timeout_graceful_shutdown=None if grace_seconds is None else max(1, round(grace_seconds)),
    )


def impatient_protocol(head_seconds: float = HEAD_SECONDS, send_seconds: float = SEND_SECONDS) -> Any:
    """The protocol of uvicorn, which closes connections whose request's head does not come, or whose answer stays."""
    h11 = import_optional("h11", extra="serving", purpose="A server over HTTP")
    module = import_optional("uvicorn.protocols.http.h11_impl", extra="serving", purpose="A server over HTTP")

    class Impatient(module.H11Protocol):  # type: ignore[name-defined]
        """Closes what is silent."""

        _timer: Any = None
        _send_timer: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait_for_head()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._stop()
            self._taken()

        def pause_writing(self) -> None:
            super().pause_writing()
            # aborted, since a close would wait for the client to take what is on its way
            self._send_timer = self.loop.call_later(send_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            self._taken()

        def _taken(self) -> None:
            if self._send_timer is not None:
                self._send_timer.cancel()
                self._send_timer = None

        def _wait_for_head(self) -> None:
            if self.conn.their_state is not h11.IDLE:
                self._stop()
            elif self._timer is None:
                self._timer = self.loop.call_later(head_seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return Impatient
