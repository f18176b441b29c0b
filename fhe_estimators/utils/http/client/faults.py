"""Why a server cannot be used, in sentences that say what to do (client side)."""

from __future__ import annotations

import errno
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from .. import TOKEN_VARIABLE, TOKENS_FILE_VARIABLE
from .peer import Peer
from .tokens import is_loopback

_EXCERPT_CHARACTERS = 300


def address_fault(url: str, peer: Peer) -> str | None:
    """What is wrong with a URL; None if it can be a server's."""
    example = f"a {peer.name.lower()}'s URL looks like {peer.example}."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"its URL is invalid ({error}); {example}"
    if parts.scheme not in ("http", "https"):
        return f"its URL begins with neither http:// nor https://; {example}"
    if not host or any(character.isspace() or not character.isprintable() for character in url):
        return f"its URL names no host; {example}"
    if parts.username is not None or parts.password is not None:
        shown = "its URL holds a user or password, which errors and logs would show"
        return f"{shown}: pass {peer.type_name}(url, token=...)."
    if parts.query or parts.fragment:
        return f"its URL has more than a host and a path; {example}"
    return None


def connection_fault(error: BaseException, timeout_seconds: float, url: str, peer: Peer) -> str:
    """What went wrong before a response was there."""
    causes = list(_causes(error))
    names = {type(cause).__name__ for cause in causes}
    proxy = proxy_of(url)
    if proxy is not None and names & {"ProxyError", "ConnectError", "ConnectTimeout"} and not _tls_fault(causes):
        return (
            f"cannot be reached: the proxy {proxy}, which the environment names (HTTPS_PROXY), failed ({error}). "
            f"Correct it, or name the {peer.name.lower()}'s host in NO_PROXY."
        )
    if any(name.endswith("Timeout") for name in names):
        where = "to connect to" if "ConnectTimeout" in names else "to answer"
        return (
            f"did not answer in time: it took longer than {timeout_seconds:g} s {where}. Is the host up and the port "
            f"open? {peer.type_name}(url, timeout_seconds=...) waits longer."
        )
    for cause in causes:
        fault = _fault_of(cause, peer)
        if fault is not None:
            return f"cannot be reached: {fault}"
    if names & {"RemoteProtocolError", "ReadError", "WriteError"}:
        return (
            f"cannot be reached: what listens there closed the connection or speaks no HTTP ({error}). A "
            f"{peer.name.lower()} with --ssl-certfile has a URL that begins with https://."
        )
    return f"cannot be reached: {error or type(error).__name__}"


def proxy_of(url: str) -> str | None:
    """Host and port of the proxy that requests to a URL go through; None without one."""
    parts = urlsplit(url)
    if parts.scheme != "https" or is_loopback(url) or proxy_bypass(parts.hostname or ""):
        return None
    proxy = getproxies().get("https") or getproxies().get("all")
    return None if proxy is None else urlsplit(proxy).netloc.rpartition("@")[2] or proxy


def _tls_fault(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, ssl.SSLError) for cause in causes)


def _fault_of(cause: BaseException, peer: Peer) -> str | None:
    if isinstance(cause, socket.gaierror):
        return "its host name is unknown (DNS). Is it spelled correctly?"
    if isinstance(cause, ssl.SSLCertVerificationError):
        if "ostname" in cause.verify_message or "IP address" in cause.verify_message:
            return f"its certificate is for another host ({cause.verify_message}). Use the host name that it is for."
        if "expired" in cause.verify_message or "not yet valid" in cause.verify_message:
            return f"its certificate is out of date ({cause.verify_message}). Renew it, or set the clock right."
        return (
            f"its certificate is not trusted ({cause.verify_message}). Pass the file of the authority that signed it: "
            f'{peer.type_name}(url, verify="ca.pem"). A self-signed certificate is its own.'
        )
    if isinstance(cause, ssl.SSLError):
        return (
            f"it speaks no TLS there ({cause.reason}). A {peer.name.lower()} without --ssl-certfile has a URL that "
            "begins with http://."
        )
    if isinstance(cause, FileNotFoundError):
        return "the file of certificates given as verify= does not exist."
    if isinstance(cause, ConnectionRefusedError):
        return (
            f"nothing listens at that port. Is the {peer.name.lower()} running, with this --port, and --host 0.0.0.0?"
        )
    if isinstance(cause, OSError) and cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return "there is no route to its host. Is the network, or the VPN, up?"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def status_fault(
    status: int, headers: Mapping[str, str], body: bytes | bytearray, path: str, peer: Peer, *, has_token: bool
) -> str:
    """What a status other than 200 means."""
    if status == 401 and has_token:
        return (
            f"refuses the token (HTTP 401): give it the one that the {peer.name.lower()} was started with, "
            f"{peer.type_name}(url, token=...)."
        )
    if status == 401:
        return (
            f"wants a token, and none was sent (HTTP 401): {peer.type_name}(url, token=...), or an entry of the file "
            f"that {TOKENS_FILE_VARIABLE} names. {TOKEN_VARIABLE} is for a client's only {peer.name.lower()}."
        )
    if status in (404, 405):
        return (
            f"is no {peer.name.lower()} of fhe_estimators (HTTP {status} for {path}): give the URL that "
            f"`{peer.command}` serves, without a path of its own."
        )
    if status == 407:
        return "is behind a proxy that wants a password (HTTP 407): see HTTPS_PROXY and NO_PROXY."
    if status == 413:
        return (
            "refused the request as too large (HTTP 413): start it with a larger --max-body-bytes, or use a smaller "
            f"{peer.size_parameter}. It says: {excerpt(body)}"
        )
    if 300 <= status < 400:
        location = excerpt(headers.get("location", "").encode())
        return f"redirects (HTTP {status}) to {location}, which is not followed: give that URL, if you trust it."
    if status in (502, 503, 504):
        return f"is not available (HTTP {status}): the proxy or load balancer before it reaches no {peer.name.lower()}."
    if status >= 500:
        return f"failed (HTTP {status}): its own log says why."
    return f"refused the request (HTTP {status}): {excerpt(body)}"


def page_fault(body: bytes | bytearray, peer: Peer) -> str:
    """What a response that is no JSON probably is."""
    if body[:200].lstrip().startswith(b"<"):
        return (
            "answered with a web page: another service listens there, or a proxy shows a login page. Are host and port "
            "right?"
        )
    return f"sent no {peer.listing}: another service listens there. Are host and port right?"


def excerpt(body: bytes | bytearray) -> str:
    """The beginning of a text from the other side, safe to print."""
    text: Any = bytes(body[: 4 * _EXCERPT_CHARACTERS]).decode(errors="replace")
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        text = json.loads(text)["detail"]
    return "".join(c if c.isprintable() else " " for c in str(text))[:_EXCERPT_CHARACTERS]
