"""Bodies of requests, bounded in bytes and in time (server side)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from .errors import Refusal, busy

#: The time a client has to send a request.
BODY_SECONDS = 600.0


class Bodies:
    """Receives the bodies of requests.

    Parameters
    ----------
    seconds : float, default=600
        Requests that take longer to arrive are refused.
    held_bytes : int, default=None
        Of all requests together that are being received; those beyond are told to come again. None for no bound.
    """

    def __init__(self, *, seconds: float = BODY_SECONDS, held_bytes: int | None = None):
        self._seconds = seconds
        self._largest_held = held_bytes
        self.held_bytes = 0

    async def read(self, request: Any, limit: int) -> bytes:
        """The body of a request, of at most ``limit`` bytes.

        Raises
        ------
        Refusal
            If it is larger, compressed, too slow, or one too many.
        """
        return bytes(await self.read_buffer(request, limit))

    async def read_buffer(self, request: Any, limit: int) -> bytearray:
        """As `read`, without a copy."""
        body = bytearray()

        def keep(part: bytes) -> None:
            if self._largest_held is not None and self.held_bytes + len(part) > self._largest_held:
                raise busy("The requests that are being received fill the server's memory.", 2.0)
            self.held_bytes += len(part)
            body.extend(part)

        try:
            await self.receive(request, limit, keep)
        finally:
            self.held_bytes -= len(body)
        return body

    async def receive(self, request: Any, limit: int, keep: Callable[[bytes], Any]) -> None:
        """Hand the parts of a body to a function as they arrive; refuses as `read` does."""
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Refusal(415, "compressed", "Compressed requests are refused.")
        too_large = Refusal(413, "too_large", f"The request is larger than {limit} bytes.")
        length = request.headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()) or len(length) > 18 or int(length) > limit:
            raise too_large

        async def receive() -> None:
            received = 0
            async for part in _parts(request):
                received += len(part)
                if received > limit:
                    raise too_large
                keep(part)

        try:
            await asyncio.wait_for(receive(), self._seconds)
        except asyncio.TimeoutError:
            raise Refusal(
                408, "too_slow", f"The request took longer than {self._seconds:g} s to arrive.", {"Connection": "close"}
            ) from None


async def _parts(request: Any) -> AsyncIterator[bytes]:
    try:
        async for part in request.stream():
            yield part
    except Exception as error:
        if type(error).__name__ != "ClientDisconnect":  # of starlette, which may be missing
            raise
        raise Refusal(400, "incomplete", "The client left before its request was complete.") from None
