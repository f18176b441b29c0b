"""Who may talk to the page's process: the page itself, opened by who started it, and nobody else (client side).

It listens on this machine only, where other users' programs and every web page that is open in a browser can reach it
too. The token keeps both out: it is in the fragment of the address, which no browser sends, and each request of the
page carries it in a header, which no form or link of another page can. The host that a request names must be ours, so
that a name of an attacker's that suddenly means 127.0.0.1 (DNS rebinding) opens nothing, and so must its origin.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection
from typing import Any

#: Files without secrets, which a browser asks for before the page can send the token.
PUBLIC_PATHS = frozenset({"/", "/connect.js", "/connect.css"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class Guard:
    """Middleware (ASGI) that refuses what does not come from the page, before anything of it is read.

    Parameters
    ----------
    app : ASGI application
        What is inside.
    hosts : collection of str
        What the header ``Host`` may be.
    token : str
        What ``Authorization: Bearer`` must carry.
    """

    def __init__(self, app: Any, *, hosts: Collection[str], token: str):
        self._app = app
        self._hosts = frozenset(hosts)
        self._authorization = f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                ours = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *ours]}
            await send(message)

        fault = self._fault(scope)
        if fault is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, detail = fault
        body = json.dumps({"detail": detail}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send_with_headers({"type": "http.response.start", "status": status, "headers": headers})
        await send_with_headers({"type": "http.response.body", "body": body})

    def _fault(self, scope: Any) -> tuple[int, str] | None:
        found: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            found.setdefault(name.lower(), []).append(value)
        hosts = found.get(b"host", [])
        if len(hosts) != 1 or hosts[0].decode("latin-1") not in self._hosts:
            return 421, "This page is at another address."
        origins = found.get(b"origin", [])
        if any(origin != b"http://" + hosts[0] for origin in origins):
            return 403, "Other pages may not ask this."
        if scope["path"] in PUBLIC_PATHS and scope["method"] in ("GET", "HEAD"):
            return None
        if any(site != b"same-origin" for site in found.get(b"sec-fetch-site", [])):
            return 403, "Other pages may not ask this."
        if scope["method"] not in ("GET", "HEAD") and not origins:
            return 403, "The request does not say which page it is from."
        given = found.get(b"authorization", [])
        if len(given) != 1 or not hmac.compare_digest(given[0], self._authorization):
            return 401, "Open the address that fhe-estimators connect printed: this page does not have its token."
        return None
