"""A worker as an HTTP application (server side): bounded bodies, a bearer token, no payloads in logs."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

from ... import __version__
from ...backends.lwe.parameters import PARAMETER_SETS, LWEParameters
from ...exceptions import FHEError, ProtocolError
from ...utils import import_optional
from ..protocol import HINTS_PATH, LAYERS_PATH, PRODUCTS_PATH, PROTOCOL_VERSION, pack_tensor, unpack_tensor
from ..schemas import HintBody, ProductHeader, parse
from .worker import LocalWorker

#: 8,192 tokens of 16,384 features.
DEFAULT_MAX_BODY_BYTES = 1 << 29
#: A request for a hint is a name, a seed and three numbers.
_MAX_HINT_BODY_BYTES = 1 << 14
#: The time a client has to send a request.
BODY_SECONDS = 600.0


class _TooLargeError(ProtocolError):
    """The response to a request would be larger than allowed."""


def create_app(
    worker: LocalWorker,
    *,
    token: str | None = None,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> Any:
    """A FastAPI application around a worker.

    Parameters
    ----------
    worker : LocalWorker
    token : str, default=None
        Bearer token that requests must carry; None accepts all.
    max_body_bytes : int
        Larger requests are refused before they are read, and so are those whose response would be larger.
    body_seconds : float, default=600
        Requests that take longer to arrive are refused.
    """
    fastapi = import_optional("fastapi", extra="serving", purpose="A worker's HTTP server")
    concurrency = import_optional("starlette.concurrency", extra="serving", purpose="A worker's HTTP server")
    app = fastapi.FastAPI(title="fhe_estimators worker", docs_url=None, redoc_url=None, openapi_url=None)

    def check_token(request: Any) -> None:
        expected, given = f"Bearer {token}".encode(), request.headers.get("authorization", "").encode()
        if token is not None and not hmac.compare_digest(expected, given):
            raise fastapi.HTTPException(401, "A valid bearer token is needed.")

    async def read(request: Any, limit: int) -> bytes:
        check_token(request)
        if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise fastapi.HTTPException(415, "Compressed requests are refused.")
        too_large = fastapi.HTTPException(413, f"The request is larger than {limit} bytes.")
        length = request.headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 18 or int(length) > limit:
            raise too_large
        body = bytearray()

        async def receive() -> None:
            async for part in request.stream():
                if len(body) + len(part) > limit:
                    raise too_large
                body.extend(part)

        try:
            await asyncio.wait_for(receive(), body_seconds)
        except asyncio.TimeoutError:
            raise fastapi.HTTPException(408, f"The request took longer than {body_seconds:g} s to arrive.") from None
        return bytes(body)

    async def reply(compute: Any, body: bytes) -> Any:
        try:
            content = await concurrency.run_in_threadpool(compute, worker, body, max_body_bytes)
        except _TooLargeError as error:
            raise fastapi.HTTPException(413, str(error)) from error
        except FHEError as error:
            raise fastapi.HTTPException(400, str(error)) from error
        return fastapi.Response(content, media_type="application/octet-stream")

    async def layers(request: Any) -> Any:
        check_token(request)
        return {
            "protocol_version": PROTOCOL_VERSION,
            "layers": worker.digests(),
            "shapes": worker.shapes_,
            "release": __version__,
        }

    async def products(request: Any) -> Any:
        return await reply(_product, await read(request, max_body_bytes))

    async def hints(request: Any) -> Any:
        return await reply(_hint, await read(request, min(_MAX_HINT_BODY_BYTES, max_body_bytes)))

    for function in (layers, products, hints):  # FastAPI goes by annotations, and is imported only now
        function.__annotations__ = {"request": fastapi.Request}
    app.get(LAYERS_PATH)(layers)
    app.post(PRODUCTS_PATH)(products)
    app.post(HINTS_PATH)(hints)
    return app


def _product(worker: LocalWorker, body: bytes, max_bytes: int) -> bytes:
    ciphertexts, header = unpack_tensor("product_request", body)
    described = {name: value for name, value in header.items() if name not in ("shape", "dtype")}
    request = parse(ProductHeader, described, "The product_request's header")
    _check_size(3 * len(ciphertexts) * worker.n_outputs(request.layer, request.direction), max_bytes)
    response, seconds = worker.multiply(request.layer, request.direction, ciphertexts)
    return pack_tensor("product", response, seconds=seconds)


def _hint(worker: LocalWorker, body: bytes, max_bytes: int) -> bytes:
    request = parse(HintBody, body, "The hint request")
    try:
        parameters = LWEParameters.from_dict(request.parameters.model_dump())
    except FHEError:
        raise
    except ValueError as error:
        raise ProtocolError(f"The hint request is malformed: {error}") from error
    if (parameters.dimension, parameters.modulus_bits) not in PARAMETER_SETS.values():
        raise ProtocolError(f"The hint request's parameters are none of {sorted(PARAMETER_SETS)}.")
    _check_size(4 * parameters.dimension * worker.n_outputs(request.layer, request.direction), max_bytes)
    return pack_tensor("hint", worker.hint(request.layer, request.direction, bytes.fromhex(request.seed), parameters))


def _check_size(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise _TooLargeError(f"The response would have {n_bytes} bytes, more than the {max_bytes} of --max-body-bytes.")
