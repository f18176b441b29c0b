"""The frame of an application: errors as JSON, metrics, health (server side)."""

from __future__ import annotations

from typing import Any

from ....exceptions import FHEError
from ..._optional import import_optional
from .errors import Refusal, as_json, refusal_of
from .metrics import Metrics
from .middleware import SEND_SECONDS, Observed
from .tokens import TokenList

HEALTH_PATH = "/health"
METRICS_PATH = "/metrics"


def new_application(
    title: str,
    *,
    tokens: TokenList,
    metrics: Metrics,
    public_metrics: bool = False,
    send_seconds: float = SEND_SECONDS,
    **options: Any,
) -> Any:
    """A FastAPI application without routes of its own, but for health and metrics.

    Parameters
    ----------
    title : str
        What it is.
    tokens : TokenList
        Who may ask for the metrics.
    metrics : Metrics
        Where requests are counted.
    public_metrics : bool, default=False
        Whether everybody may.
    send_seconds : float, default=60
        In which a client must take a part of an answer.
    **options
        Of `fastapi.FastAPI`.

    Returns
    -------
    app : fastapi.FastAPI
        Errors of routes are JSON with ``detail``, a sentence, and ``code``, which stays.
    """
    fastapi = import_optional("fastapi", extra="serving", purpose="A server over HTTP")
    app = fastapi.FastAPI(title=title, docs_url=None, redoc_url=None, **options)
    app.add_middleware(Observed, metrics=metrics, send_seconds=send_seconds)

    def respond(refusal: Refusal) -> Any:
        return fastapi.responses.JSONResponse(as_json(refusal), refusal.status, refusal.headers)

    async def refused(_: Any, error: Refusal) -> Any:
        return respond(error)

    async def library_error(_: Any, error: FHEError) -> Any:
        return respond(refusal_of(error))

    async def invalid(_: Any, error: Any) -> Any:
        places = {".".join(str(part)[:50] for part in fault["loc"][:3]) for fault in error.errors()}
        return respond(Refusal(422, "invalid", f"Invalid: {', '.join(sorted(places))}."))

    async def unrouted(_: Any, error: Any) -> Any:
        return respond(Refusal(error.status_code, "no_such_path", str(error.detail), error.headers))

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(FHEError, library_error)
    app.add_exception_handler(fastapi.exceptions.RequestValidationError, invalid)
    app.add_exception_handler(import_optional("starlette.exceptions", purpose=title).HTTPException, unrouted)

    async def health() -> Any:
        return {"status": "ok"}

    async def read_metrics(request: Any) -> Any:
        if not public_metrics:
            tokens.client(request.headers.get("authorization"))
        content, media_type = metrics.text()
        return fastapi.Response(content, headers={"Content-Type": media_type})

    read_metrics.__annotations__["request"] = fastapi.Request  # FastAPI goes by it, and is imported only now
    app.get(HEALTH_PATH, summary="Whether the server runs")(health)
    app.get(METRICS_PATH, summary="Counts, seconds and bytes for Prometheus", response_class=fastapi.Response)(
        read_metrics
    )
    return app
