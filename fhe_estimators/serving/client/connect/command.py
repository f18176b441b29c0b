"""``fhe-estimators connect``: a page on this machine for rows that a service scores encrypted (client side)."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from ....utils import import_optional
from ....utils.http.server.running import impatient_protocol
from ..predict_command import PASSWORD_VARIABLE
from ..remote_model import RemoteModel

_HOST = "127.0.0.1"  # never another: the page shows rows and scores
_MAX_TOKEN_BYTES = 1 << 12


def connect(
    url: str,
    *,
    model: str | None = None,
    token_file: str | None = None,
    client_archive: str | None = None,
    keys_file: str | None = None,
    ca_file: str | None = None,
    port: int = 0,
    retry_seconds: float = 60.0,
    browser: bool = True,
) -> None:
    """Open a page for rows to score, and serve it until interrupted."""
    import_optional("fastapi", extra="serving", purpose="The page")
    uvicorn = import_optional("uvicorn", extra="serving", purpose="The page")
    import_optional("pandas", extra="datasets", purpose="Tables of rows")
    from .app import create_app

    remote = RemoteModel(
        url,
        model=model,
        token=None if token_file is None else _read_token(Path(token_file)),
        client_archive=client_archive,
        keys_file=keys_file,
        password=os.environ.get(PASSWORD_VARIABLE),
        retry_seconds=retry_seconds,
        verify=ca_file or True,
    )
    remote._session()  # what is wrong shall be said in the terminal
    token = secrets.token_urlsafe(32)
    with socket.create_server((_HOST, port)) as listener:
        host = f"{_HOST}:{listener.getsockname()[1]}"
        hosts = {host, _HOST} if host.endswith(":80") else {host}
        config = uvicorn.Config(
            create_app(remote, hosts=hosts, token=token),
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http=impatient_protocol(),
        )
        address = f"http://{host}/#{token}"
        print(f"Open {address}\nin a browser on this machine. Ctrl-C ends it, and the keys with it.", flush=True)
        with contextlib.suppress(KeyboardInterrupt), _opened(address) if browser else contextlib.nullcontext():
            uvicorn.Server(config).run(sockets=[listener])


def _read_token(path: Path) -> str:
    """The token in a file that others cannot read; errors never show it."""
    try:
        if path.stat().st_mode & 0o077:
            raise ValueError(f"{path} (--token-file) can be read by others: chmod 600 it.")
        with path.open("rb") as file:
            words = file.read(_MAX_TOKEN_BYTES).decode("ascii").split()
    except OSError as error:
        raise ValueError(f"{path} (--token-file) cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        words = []
    if len(words) != 1:
        raise ValueError(f"{path} (--token-file) must hold one token and nothing else.")
    return words[0]


@contextlib.contextmanager
def _opened(address: str) -> Iterator[Any]:
    """A browser at an address that holds a secret: it is given a file, since all users see arguments of programs."""
    with tempfile.TemporaryDirectory(prefix="fhe_estimators-") as folder:
        page = Path(folder, "connect.html")
        descriptor = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f'<!doctype html><meta http-equiv="refresh" content="0; url={escape(address)}">')
        # a browser of the terminal would keep it; the socket listens already
        threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()
        yield
