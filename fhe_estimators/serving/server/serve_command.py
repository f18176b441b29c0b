"""``fhe-estimators serve``: models over HTTP (server side)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from ...utils import import_optional
from ...utils.http import TOKEN_VARIABLE
from ...utils.http.server.running import run_application
from ...utils.http.server.tokens import TokenList
from .service import Limits, ScoringService


def serve(
    archives: Sequence[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token_file: str | None = None,
    keys_dir: str | None = None,
    processes: int | None = None,
    max_waiting: int = 64,
    max_body_bytes: int = 1 << 28,
    max_rows: int | None = None,
    max_seconds: float = 300.0,
    keys_days: float = 30.0,
    client_keys_bytes: int = 1 << 31,
    rerandomize: bool = False,
    private: bool = False,
    ssl_certfile: str | None = None,
    ssl_keyfile: str | None = None,
) -> None:
    """Serve models over HTTP until interrupted; requests that were accepted are answered first."""
    import_optional("fastapi", extra="serving", purpose="A server over HTTP")
    from .app import create_app

    tokens = TokenList.configured(token_file)
    if tokens.is_open:
        print(
            f"There is no --token-file, and {TOKEN_VARIABLE} is not set: this server answers everybody who reaches it.",
            file=sys.stderr,
        )
    limits = Limits(
        n_processes=_positive("--processes", processes),
        max_waiting=max_waiting,
        max_body_bytes=max_body_bytes,
        max_rows=_positive("--max-rows", max_rows),
        seconds=max_seconds,
        keys_seconds=86_400.0 * keys_days,
        client_keys_bytes=client_keys_bytes,
    )
    service = ScoringService(
        archives, tokens=tokens, limits=limits, keys_folder=keys_dir, rerandomize=rerandomize, private=private
    )
    try:
        asyncio.run(service.load())
        app = create_app(service)
        scheme = "http" if ssl_certfile is None else "https"
        print(f"Serving {', '.join(service.models.names)} on {scheme}://{host}:{port}", flush=True)
        run_application(app, host=host, port=port, ssl_certfile=ssl_certfile, ssl_keyfile=ssl_keyfile)
    finally:
        service.close()


def _positive(option: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise ValueError(f"{option} must be positive, got {value}.")
    return value
