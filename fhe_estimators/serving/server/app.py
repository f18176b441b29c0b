"""The routes of a scoring service (needs FastAPI)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, StreamingResponse

from ... import __version__
from ...utils.http.server import Refusal, new_application
from ..http_protocol import BINARY, KEYS_ID, MODEL_NAME, MODELS_PATH, READY_PATH, TIMEOUT_HEADER
from .page import HEADERS, models_page
from .service import ScoringService

#: Of an answer that is sent at a time.
_PART_BYTES = 1 << 18
_MODEL_PATH = MODELS_PATH + "/{name}"
_KEYS_PATH = _MODEL_PATH + "/keys"
_BINARY_BODY = {
    "requestBody": {"required": True, "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
}
_ERROR: dict[str, Any] = {
    "description": "Refused",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["detail", "code"],
                "properties": {"detail": {"type": "string"}, "code": {"type": "string"}},
            }
        }
    },
}
_BINARY_ANSWER: dict[str, Any] = {
    "description": "Bytes",
    "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
}

ModelName = Annotated[str, Path(pattern=MODEL_NAME)]
KeysId = Annotated[str, Path(pattern=KEYS_ID)]


def create_app(service: ScoringService) -> FastAPI:
    """A FastAPI application around a service.

    Parameters
    ----------
    service : ScoringService
        Loaded; closed when the application ends.

    Returns
    -------
    app : fastapi.FastAPI
        Its OpenAPI document is at ``/openapi.json``.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app: FastAPI = new_application(
        "fhe_estimators",
        tokens=service.tokens,
        metrics=service.metrics,
        public_metrics=not service.private,
        description="Scores of encrypted rows. Errors are JSON with `detail`, a sentence, and `code`, which stays.",
        version=__version__,
        openapi_url=None if service.private else "/openapi.json",
        lifespan=lifespan,
    )

    def client(request: Request) -> str:
        return service.tokens.client(request.headers.get("authorization"))

    def everybody(request: Request) -> str:
        return client(request) if service.private else "anonymous"

    _add_public_routes(app, service, everybody)
    _add_model_routes(app, service, client)
    _add_key_routes(app, service, client)
    _add_scores(app, service, client)
    return app


def _add_public_routes(app: FastAPI, service: ScoringService, everybody: Any) -> None:
    @app.get(READY_PATH, summary="Whether requests are taken", responses={503: _ERROR})
    async def ready() -> dict[str, Any]:
        if not service.is_ready:
            raise Refusal(503, "not_ready", "The server is starting, or stopping.", {"Retry-After": "1"})
        return {"status": "ready", "models": len(service.models.names)}

    @app.get("/", summary="A page about the models", response_class=HTMLResponse)
    async def page(request: Request, _: str = Depends(everybody)) -> HTMLResponse:
        cards = [service.models.get(name).card for name in service.models.names]
        text = models_page(cards, str(request.base_url).rstrip("/"), needs_token=not service.tokens.is_open)
        return HTMLResponse(text, headers=HEADERS)


def _add_model_routes(app: FastAPI, service: ScoringService, client: Any) -> None:
    refusals: dict[int | str, dict[str, Any]] = {401: _ERROR, 404: _ERROR, 422: _ERROR}

    @app.get(MODELS_PATH, summary="The models", responses={401: _ERROR})
    async def models(_: str = Depends(client)) -> dict[str, Any]:
        cards = [service.models.get(name).card for name in service.models.names]
        shown = ("name", "program_id", "backend", "task", "n_features")
        return {"release": __version__, "models": [{key: card.get(key) for key in shown} for card in cards]}

    @app.get(_MODEL_PATH, summary="The card of a model", responses=refusals)
    async def card(name: ModelName, _: str = Depends(client)) -> JSONResponse:
        limits = service.limits
        bounds = {"max_body_bytes": limits.max_body_bytes, "max_rows": limits.max_rows, "seconds": limits.seconds}
        return JSONResponse({**service.models.get(name).card, "limits": bounds})

    @app.get(
        _MODEL_PATH + "/client",
        summary="The client archive of a model",
        response_class=Response,
        responses={200: _BINARY_ANSWER, **refusals},
    )
    async def client_archive(name: ModelName, _: str = Depends(client)) -> Response:
        copy = service.models.get(name).client_copy
        if copy is None:
            raise Refusal(
                404, "no_client_archive", "There is no client archive beside this model: ask its owner for the file."
            )
        return FileResponse(copy, media_type=BINARY)


def _add_key_routes(app: FastAPI, service: ScoringService, client: Any) -> None:
    refusals: dict[int | str, dict[str, Any]] = {401: _ERROR, 404: _ERROR, 422: _ERROR}
    upload: dict[int | str, dict[str, Any]] = {
        400: _ERROR,
        408: _ERROR,
        413: _ERROR,
        415: _ERROR,
        429: _ERROR,
        503: _ERROR,
        504: _ERROR,
        507: _ERROR,
    }

    @app.post(
        _KEYS_PATH,
        summary="Keep evaluation keys; answers the name that the server gives them",
        status_code=201,
        openapi_extra=_BINARY_BODY,
        responses={**refusals, **upload},
    )
    async def register_keys(request: Request, name: ModelName, owner: str = Depends(client)) -> dict[str, Any]:
        keys_id = await service.register_keys(request, owner, service.models.get(name))
        return {"keys_id": keys_id, "unused_seconds": service.keys.seconds}

    @app.get(_KEYS_PATH + "/{keys_id}", summary="Whether keys are known", responses=refusals)
    async def known_keys(name: ModelName, keys_id: KeysId, owner: str = Depends(client)) -> dict[str, Any]:
        if service.keys.find(owner, service.models.get(name).card["program_id"], keys_id) is None:
            raise Refusal(404, "unknown_keys", "These evaluation keys are not known for this model.")
        return {"keys_id": keys_id, "unused_seconds": service.keys.seconds}

    @app.delete(_KEYS_PATH + "/{keys_id}", summary="Remove keys", status_code=204, responses=refusals)
    async def remove_keys(name: ModelName, keys_id: KeysId, owner: str = Depends(client)) -> Response:
        if not service.keys.remove(owner, service.models.get(name).card["program_id"], keys_id):
            raise Refusal(404, "unknown_keys", "These evaluation keys are not known for this model.")
        return Response(status_code=204)


def _add_scores(app: FastAPI, service: ScoringService, client: Any) -> None:
    statuses = (400, 401, 404, 408, 413, 415, 422, 429, 503, 504)
    responses: dict[int | str, dict[str, Any]] = {200: _BINARY_ANSWER}
    responses.update(dict.fromkeys(statuses, _ERROR))

    @app.post(
        _MODEL_PATH + "/predict",
        summary="Encrypted scores of encrypted rows",
        openapi_extra=_BINARY_BODY,
        response_class=StreamingResponse,
        responses=responses,
    )
    async def predict(
        request: Request,
        name: ModelName,
        keys: Annotated[str, Query(pattern=KEYS_ID, description="Name of evaluation keys that were sent")],
        timeout: Annotated[float, Header(alias=TIMEOUT_HEADER, gt=0, le=86_400, allow_inf_nan=False)] = 86_400.0,
        owner: str = Depends(client),
    ) -> StreamingResponse:
        content = await service.score(request, owner, service.models.get(name), keys, timeout)
        headers = {"Content-Length": str(len(content))}
        return StreamingResponse(_parts(content), media_type=BINARY, headers=headers)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _PART_BYTES):
        yield content[start : start + _PART_BYTES]
