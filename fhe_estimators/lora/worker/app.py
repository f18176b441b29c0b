"""A worker as an HTTP application (server side): bounded bodies, a bearer token, no payloads in logs."""

from __future__ import annotations

from typing import Any

from ... import __version__
from ...backends.lwe.parameters import LWEParameters
from ...exceptions import FHEError, ProtocolError
from ...utils import import_optional
from ...utils.http.server import Bodies, Metrics, Refusal, TokenList, new_application
from ...utils.http.server.bodies import BODY_SECONDS
from ..protocol import HINTS_PATH, LAYERS_PATH, PRODUCTS_PATH, PROTOCOL_VERSION, pack_tensor
from ..schemas import HintBody, ProductHeader, parse
from ..tensor_messages import is_fast, tensor_parts, unpack_tensor
from .worker import LocalWorker

#: 8,192 tokens of 16,384 features.
DEFAULT_MAX_BODY_BYTES = 1 << 29
#: A request for a hint is a name, a seed and three numbers.
_MAX_HINT_BODY_BYTES = 1 << 14


def create_app(
    worker: LocalWorker,
    *,
    token: str | None = None,
    tokens: TokenList | None = None,
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
    body_seconds: float = BODY_SECONDS,
) -> Any:
    """A FastAPI application around a worker.

    Parameters
    ----------
    worker : LocalWorker
    token : str, default=None
        Bearer token that requests must carry; None accepts all.
    tokens : TokenList, default=None
        Tokens of several clients instead.
    max_body_bytes : int
        Larger requests are refused before they are read, and so are those whose response would be larger.
    body_seconds : float, default=600
        Requests that take longer to arrive are refused.
    """
    fastapi = import_optional("fastapi", extra="serving", purpose="A worker's HTTP server")
    concurrency = import_optional("starlette.concurrency", extra="serving", purpose="A worker's HTTP server")
    if tokens is None:
        tokens = TokenList(None if token is None else {token: "default"})
    metrics, bodies = Metrics(), Bodies(seconds=body_seconds)
    app = new_application("fhe_estimators worker", tokens=tokens, metrics=metrics, openapi_url=None)
    seconds = metrics.histogram("fhe_worker_seconds", "Of arithmetic, by path", "path")

    async def compute(request: Any, function: Any, limit: int, path: str) -> Any:
        tokens.client(request.headers.get("authorization"))
        body = await bodies.read_buffer(request, limit)
        with seconds.labels(path).time():
            content = await concurrency.run_in_threadpool(function, worker, body, max_body_bytes)
        return fastapi.Response(content, media_type="application/octet-stream")

    async def layers(request: Any) -> Any:
        tokens.client(request.headers.get("authorization"))
        return {
            "protocol_version": PROTOCOL_VERSION,
            "layers": worker.digests(),
            "shapes": worker.shapes_,
            "release": __version__,
        }

    async def products(request: Any) -> Any:
        return await compute(request, _product, max_body_bytes, PRODUCTS_PATH)

    async def hints(request: Any) -> Any:
        return await compute(request, _hint, min(_MAX_HINT_BODY_BYTES, max_body_bytes), HINTS_PATH)

    for function in (layers, products, hints):  # FastAPI goes by annotations, and is imported only now
        function.__annotations__ = {"request": fastapi.Request}
    app.get(LAYERS_PATH)(layers)
    app.post(PRODUCTS_PATH)(products)
    app.post(HINTS_PATH)(hints)
    return app


def _product(worker: LocalWorker, body: bytearray, max_bytes: int) -> bytes:
    ciphertexts, header = unpack_tensor("product_request", body)
    described = {name: value for name, value in header.items() if name not in ("shape", "dtype")}
    request = parse(ProductHeader, described, "The product_request's header")
    n_values = len(ciphertexts) * worker.n_outputs(request.layer, request.direction)
    _check_size(request.download_bits // 8 * n_values, max_bytes)
    response, seconds = worker.multiply(
        request.layer, request.direction, ciphertexts, download_bits=request.download_bits
    )
    return _packed("product", response, is_old=not is_fast(body), seconds=seconds)


def _hint(worker: LocalWorker, body: bytearray, max_bytes: int) -> bytes:
    request = parse(HintBody, body, "The hint request")
    try:
        parameters = LWEParameters.from_dict(request.parameters.model_dump())
    except FHEError:
        raise
    except ValueError as error:
        raise ProtocolError(f"The hint request is malformed: {error}") from error
    _check_size(4 * parameters.dimension * worker.n_outputs(request.layer, request.direction), max_bytes)
    hint = worker.hint(request.layer, request.direction, bytes.fromhex(request.seed), parameters)
    return _packed("hint", hint, is_old=request.protocol_version < 3)


def _packed(kind: str, tensor: Any, *, is_old: bool, **header: Any) -> bytes:
    """A message of the form in which the client asked."""
    return pack_tensor(kind, tensor, **header) if is_old else b"".join(tensor_parts(kind, tensor, **header))


def _check_size(n_bytes: int, max_bytes: int) -> None:
    if n_bytes > max_bytes:
        raise Refusal(
            413, "too_large", f"The response would have {n_bytes} bytes, more than the {max_bytes} of --max-body-bytes."
        )
