"""Bearer tokens of a server's clients (server side)."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from .. import TOKEN_VARIABLE
from .errors import Refusal

_TOKEN = re.compile(r"[\x21-\x7e]{1,1000}")
_MAX_FILE_BYTES = 1 << 20
#: How often a file of tokens is looked at.
_LOOK_SECONDS = 1.0


class TokenList:
    """Who may ask: the tokens of named clients, from a file that is read again when it changes.

    A line of the file is a token, or a client's name and its token; empty lines and those that begin with ``#`` are
    none. Removing a line revokes the client at once. Several tokens may have one name: they share what the client has.

    Parameters
    ----------
    tokens : mapping of str to str, default=None
        Names of clients by token. None accepts everybody, as the client ``"anonymous"``.
    path : path-like, default=None
        A file instead.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds what is no token.
    """

    def __init__(self, tokens: Mapping[str, str] | None = None, *, path: str | os.PathLike | None = None):
        self._path = None if path is None else Path(path)
        self._mark: tuple[int, ...] | None = None
        self._looked = -float("inf")
        self._names: dict[bytes, str] | None = None if tokens is None else _by_digest(dict(tokens))
        if self._path is not None:
            self._mark = self._stat()
            self._names = _by_digest(_read(self._path))

    @classmethod
    def configured(cls, token_file: str | None) -> TokenList:
        """From a file, or else the token that ``FHE_ESTIMATORS_TOKEN`` holds, or else nobody's."""
        if token_file is not None:
            return cls(path=token_file)
        token = os.environ.get(TOKEN_VARIABLE)
        return cls({token: "default"} if token else None)

    @property
    def is_open(self) -> bool:
        """Whether everybody is accepted."""
        return self._names is None

    def client(self, authorization: str | None) -> str:
        """The name of the client whose token a header carries.

        Raises
        ------
        Refusal
            If there is none.
        """
        self._look()
        if self._names is None:
            return "anonymous"
        scheme, _, token = (authorization or "").partition(" ")
        given = _digest(token)
        found = None
        for digest, name in self._names.items():  # all of them, whichever it is
            if hmac.compare_digest(digest, given):
                found = name
        if scheme.lower() != "bearer" or found is None:
            raise Refusal(401, "unauthorized", "A valid bearer token is needed.", {"WWW-Authenticate": "Bearer"})
        return found

    def _look(self) -> None:
        if self._path is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        try:
            mark = self._stat()
            if mark != self._mark:
                self._names = _by_digest(_read(self._path))
                self._mark = mark
        except ValueError as error:  # a file that is being written: the tokens of before hold until it is right
            print(f"{error} The tokens read before stay valid.", file=sys.stderr, flush=True)

    def _stat(self) -> tuple[int, ...]:
        assert self._path is not None
        try:
            found = self._path.stat()
        except OSError as error:
            raise ValueError(f"The token file {self._path} cannot be read: {error.strerror}.") from error
        return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES).decode("ascii")
    except OSError as error:
        raise ValueError(f"The token file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise ValueError(f"The token file {path} must hold printable ASCII characters.") from None
    tokens: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        token = words[-1]
        if len(words) > 2 or not _TOKEN.fullmatch(token):
            raise ValueError(f"Line {number} of the token file {path} is neither `token` nor `name token`.")
        tokens[token] = words[0] if len(words) == 2 else _digest(token).hex()[:16]
    if not tokens:
        raise ValueError(f"The token file {path} holds no token: write one on a line, from `openssl rand -hex 32`.")
    return tokens


def _by_digest(tokens: Mapping[str, str]) -> dict[bytes, str]:
    return {_digest(token): name for token, name in tokens.items()}


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
