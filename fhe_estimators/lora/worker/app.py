"""A worker as an HTTP application (server side): bounded bodies, a bearer token, no payloads in logs."""

from __future__ import annotations

import hmac
import json
from typing import Any

from ...backends.lwe.parameters import KEY_BYTES, LWEParameters
from ...exceptions import FHEError, ProtocolError
from ...utils import import_optional
from ..protocol import HINTS_PATH, LAYERS_PATH, PRODUCTS_PATH, PROTOCOL_VERSION, pack_tensor, unpack_tensor
from .worker import LocalWorker

#: 8,192 tokens of 16,384 features.
DEFAULT_MAX_BODY_BYTES = 1 << 29


def create_app(worker: LocalWorker, *, token: str | None = None, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES) -> Any:
    """A FastAPI application around a worker.

    Parameters
    ----------
    worker : LocalWorker
    token : str, default=None
        Bearer token that requests must carry; None accepts all.
    max_body_bytes : int
        Larger requests are refused before they are read.
    """
    fastapi = import_optional("fastapi", extra="serving", purpose="A worker's HTTP server")
    concurrency = import_optional("starlette.concurrency", extra="serving", purpose="A worker's HTTP server")
    app = fastapi.FastAPI(title="fhe_estimators worker", docs_url=None, redoc_url=None, openapi_url=None)

    def check_token(request: Any) -> None:
        expected, given = f"Bearer {token}".encode(), request.headers.get("authorization", "").encode()
        if token is not None and not hmac.compare_digest(expected, given):
            raise fastapi.HTTPException(401, "A valid bearer token is needed.")

    async def read(request: Any) -> bytes:
        check_token(request)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > max_body_bytes:
                raise fastapi.HTTPException(413, f"The request is larger than {max_body_bytes} bytes.")
        return bytes(body)

    async def reply(compute: Any, body: bytes) -> Any:
        try:
            content = await concurrency.run_in_threadpool(compute, worker, body)
        except FHEError as error:
            raise fastapi.HTTPException(400, str(error)) from error
        return fastapi.Response(content, media_type="application/octet-stream")

    async def layers(request: Any) -> Any:
        check_token(request)
        return {"protocol_version": PROTOCOL_VERSION, "layers": worker.digests()}

    async def products(request: Any) -> Any:
        return await reply(_product, await read(request))

    async def hints(request: Any) -> Any:
        return await reply(_hint, await read(request))

    for function in (layers, products, hints):  # FastAPI goes by annotations, and is imported only now
        function.__annotations__ = {"request": fastapi.Request}
    app.get(LAYERS_PATH)(layers)
    app.post(PRODUCTS_PATH)(products)
    app.post(HINTS_PATH)(hints)
    return app


def _product(worker: LocalWorker, body: bytes) -> bytes:
    ciphertexts, header = unpack_tensor("product_request", body)
    response, seconds = worker.multiply(str(header.get("layer")), str(header.get("direction")), ciphertexts)
    return pack_tensor("product", response, seconds=seconds)


def _hint(worker: LocalWorker, body: bytes) -> bytes:
    try:
        request = json.loads(body)
        layer, direction, seed = request["layer"], request["direction"], bytes.fromhex(request["seed"])
    except (ValueError, KeyError, TypeError) as error:
        raise ProtocolError("The hint request is malformed.") from error
    if len(seed) != KEY_BYTES:
        raise ProtocolError(f"The hint request's seed must have {KEY_BYTES} bytes.")
    return pack_tensor("hint", worker.hint(layer, direction, seed, LWEParameters.from_dict(request.get("parameters"))))
