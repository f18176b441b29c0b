"""Around every request: it is counted, its errors are no secrets' leak, and no answer waits for ever (server side)."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import traceback
from typing import Any

from .metrics import Metrics

#: In which a client must take a part of an answer.
SEND_SECONDS = 60.0
_log = logging.getLogger("fhe_estimators.http")


class Observed:
    """Middleware (ASGI) that counts requests, bounds the time of each part sent, and answers 500 for what is a bug.

    What is logged of a bug is its type and the lines of code: texts of exceptions may hold data of a client.

    Parameters
    ----------
    app : ASGI application
        What is inside.
    metrics : Metrics
        Where requests are counted.
    send_seconds : float, default=60
        In which a client must take a part of an answer, or it is left.
    """

    def __init__(self, app: Any, metrics: Metrics, send_seconds: float = SEND_SECONDS):
        self._app = app
        self._metrics = metrics
        self._send_seconds = send_seconds

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, received, sent = time.perf_counter(), 499, 0, 0

        async def counted_receive() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def bounded_send(message: Any) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            sent += len(message.get("body", b""))
            await asyncio.wait_for(send(message), self._send_seconds)

        self._metrics.under_way.inc()
        try:
            await self._app(scope, counted_receive, bounded_send)
        except asyncio.TimeoutError:
            _log.warning("A client took no part of its answer for %g s and was left.", self._send_seconds)
        except Exception as error:
            _log.error("%s in\n%s", type(error).__name__, "".join(traceback.format_tb(error.__traceback__)))
            if status == 499:
                status = 500
                await _send_failure(send)
        finally:
            self._metrics.under_way.dec()
            route = getattr(scope.get("route"), "path", "other")
            self._metrics.observe(route, status, time.perf_counter() - start, received, sent)


async def _send_failure(send: Any) -> None:
    body = json.dumps({"detail": "The server failed: its log says where.", "code": "internal"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
