"""A scoring service over HTTPS: bytes in, bytes out."""

import hashlib
import hmac
import os
import re
from pathlib import Path
from threading import Lock

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from fhe_estimators.exceptions import ProtocolError
from fhe_estimators.serving import FHEServer

# An environment variable shows in no list of processes.
TOKEN = os.environ["SCORING_TOKEN"]
# Shared by all server processes.
KEYS = Path(os.environ.get("SCORING_KEYS", "keys"))
LARGEST_BODY_BYTES = 256 << 20

KEYS.mkdir(exist_ok=True)
server = FHEServer.load("model.server.fhe")
# Threads would gain nothing: evaluation holds the interpreter's lock.
one_at_a_time = Lock()
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


async def read(request: Request) -> bytes:
    """The body of an authorized request, of bounded size."""
    given = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {TOKEN}".encode()):
        raise HTTPException(401, "A valid bearer token is needed.")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY_BYTES:
            raise HTTPException(413, "The request is too large.")
    return bytes(body)


@app.post("/keys")
async def register_keys(request: Request) -> str:
    keys = await read(request)
    # The name is ours: no client chooses a path.
    name = hashlib.sha256(keys).hexdigest()
    (KEYS / name).write_bytes(keys)
    return name


@app.post("/scores/{keys_name}")
async def score(keys_name: str, request: Request) -> Response:
    body = await read(request)
    path = KEYS / keys_name
    if not re.fullmatch("[0-9a-f]{64}", keys_name) or not path.is_file():
        raise HTTPException(404, "Send these evaluation keys to /keys first.")

    def evaluate() -> bytes:
        with one_at_a_time:
            return server.run(body, path.read_bytes())

    try:
        answer = await run_in_threadpool(evaluate)
    except ProtocolError as error:  # KeyMismatchError is one
        raise HTTPException(400, str(error)) from error
    return Response(answer, media_type="application/octet-stream")
