"""Bearer tokens: where they come from, and to whom they may go (client side)."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from .. import TOKEN_VARIABLE, TOKENS_FILE_VARIABLE
from .peer import Peer

_MAX_FILE_BYTES = 1 << 20


def configured_token(url: str) -> str | None:
    """The token of a URL in the file that ``FHE_ESTIMATORS_TOKENS_FILE`` names; None without file or entry.

    The file is a JSON object of tokens by URL, for its owner's eyes only (mode 600).
    """
    name = os.environ.get(TOKENS_FILE_VARIABLE)
    if not name:
        return None
    path = Path(name)
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"{path} ({TOKENS_FILE_VARIABLE}) can be read by others: chmod 600 it.")
        with path.open("rb") as file:
            tokens = json.loads(file.read(_MAX_FILE_BYTES))
    except OSError as error:
        raise ValueError(f"{path} ({TOKENS_FILE_VARIABLE}) cannot be read: {error.strerror}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        tokens = None
    if not isinstance(tokens, dict) or not all(isinstance(token, str) for token in tokens.values()):
        raise ValueError(f"{path} ({TOKENS_FILE_VARIABLE}) must be a JSON object of tokens by URL.")
    return {key.rstrip("/"): token for key, token in tokens.items()}.get(url.rstrip("/"))


def environment_token() -> str | None:
    """What ``FHE_ESTIMATORS_TOKEN`` holds; None if it is not set."""
    return os.environ.get(TOKEN_VARIABLE) or None


def check_token(url: str, token: str | None, peer: Peer, *, allow_insecure: bool) -> None:
    """A ValueError if a token is none, or would cross a network in the clear. The token is not in its text."""
    if token is None:
        return
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ValueError(f"The token of {peer.name.lower()} {url} must be printable ASCII characters without spaces.")
    if not allow_insecure and url.lower().startswith("http:") and not is_loopback(url):
        raise ValueError(
            f"The token of {peer.name.lower()} {url} would be sent over plain HTTP, for everybody on the way to read: "
            f"use https:// ({peer.command} --ssl-certfile), or {peer.type_name}(url, allow_insecure_token=True) where "
            "another layer protects it, such as a tunnel."
        )


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
