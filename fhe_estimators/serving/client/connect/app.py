"""The routes of the page on this machine (client side; needs FastAPI)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse

from ....ensembles.links import ClassificationLink, IsolationLink
from ....exceptions import FHEError
from ....utils import import_optional
from ....utils.http.server import Bodies, Refusal
from ....utils.http.server.errors import as_json
from ..csv_rows import Table, read_table
from ..features import Features
from ..remote_model import RemoteModel
from .guard import Guard
from .job import SHOWN_ROWS, Job

_STATIC = Path(__file__).parent / "static"
_FILES = {"/": ("connect.html", "text/html"), "/connect.js": ("connect.js", "text/javascript")}
_FILES["/connect.css"] = ("connect.css", "text/css")
#: Of a table; larger ones are for `fhe-estimators predict`, which goes on after a crash.
MAX_TABLE_BYTES = 1 << 26


def create_app(remote: RemoteModel, *, hosts: Collection[str], token: str) -> Any:
    """An ASGI application around a connected model.

    Parameters
    ----------
    remote : RemoteModel
        It holds the keys.
    hosts : collection of str
        What the header ``Host`` may be: where the application is reached.
    token : str
        That the page must send.

    Returns
    -------
    app : ASGI application
        Guarded.
    """
    app = FastAPI(title="fhe_estimators", openapi_url=None, docs_url=None, redoc_url=None)
    features = Features(remote._session().model)
    bodies = Bodies(seconds=60.0)
    jobs: dict[str, Job] = {}
    one_at_a_time = asyncio.Lock()

    async def refused(_: Request, error: Any) -> JSONResponse:
        refusal = error if isinstance(error, Refusal) else Refusal(400, "invalid", str(error))
        return JSONResponse(as_json(refusal), refusal.status, refusal.headers)

    for kind in (Refusal, FHEError, ValueError, OSError):
        app.add_exception_handler(kind, refused)

    _add_files(app)

    @app.get("/api/model")
    async def model() -> dict[str, Any]:
        return describe_page(remote, features)

    async def begin(table: Table, reasons: bool) -> dict[str, str]:
        if reasons and not hasattr(remote, "predict_contributions"):
            raise Refusal(400, "no_reasons", "The service has no model of contributions for this one.")
        async with one_at_a_time:
            if any(job.is_running for job in jobs.values()):
                raise Refusal(409, "busy", "Rows are being scored: wait for them, or cancel.")
            number = str(1 + max(map(int, jobs), default=0))
            job = await asyncio.to_thread(Job, remote, features, table, with_reasons=reasons)
            jobs.clear()  # the last one is kept
            jobs[number] = job
            job.start()
        return {"job": number}

    @app.post("/api/row")
    async def row(request: Request, reasons: bool = False) -> dict[str, str]:
        body = await bodies.read(request, MAX_TABLE_BYTES)
        return await begin(_typed_row(body, features), reasons)

    @app.post("/api/table")
    async def table(request: Request, reasons: bool = False) -> dict[str, str]:
        body = await bodies.read(request, MAX_TABLE_BYTES)
        return await begin(await asyncio.to_thread(read_table, body, features), reasons)

    def job_of(number: str) -> Job:
        if number not in jobs:
            raise Refusal(404, "unknown_job", "These scores are not kept any more: score the rows again.")
        return jobs[number]

    @app.get("/api/jobs/{number}")
    async def status(number: str) -> dict[str, Any]:
        return job_of(number).status()

    @app.delete("/api/jobs/{number}", status_code=204)
    async def cancel(number: str) -> Response:
        job_of(number).cancel()
        return Response(status_code=204)

    @app.get("/api/jobs/{number}/scores.csv")
    async def scores(number: str) -> Response:
        content = await asyncio.to_thread(job_of(number).csv)
        if content is None:
            raise Refusal(409, "not_done", "The scores are not complete.")
        return Response(content, media_type="text/csv")

    return Guard(app, hosts=hosts, token=token)


def _add_files(app: FastAPI) -> None:
    def serve(name: str, media_type: str) -> Any:
        async def file() -> FileResponse:
            return FileResponse(_STATIC / name, media_type=media_type)

        return file

    for path, (name, media_type) in _FILES.items():
        app.get(path)(serve(name, media_type))


def _typed_row(body: bytes, features: Features) -> Table:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, list) or not all(value is None or isinstance(value, str) for value in values):
        raise ValueError("A row is a JSON list of texts, one a feature.")
    pandas = import_optional("pandas", extra="datasets", purpose="Rows")
    return Table(features.row(values), pandas.DataFrame(index=range(1)))


def describe_page(remote: RemoteModel, features: Features) -> dict[str, Any]:
    """What the page says of the model and asks for."""
    session = remote._session()
    facts, link = session.card["describe"], session.model.link
    named = ("security_bits", "scheme", "server_sees", "evaluation_key_bytes", "upload_bytes", "download_bytes")
    task = "regression"
    if isinstance(link, (ClassificationLink, IsolationLink)):
        task = "classification" if isinstance(link, ClassificationLink) else "outliers"
    return {
        "url": remote.url,
        "name": session.card.get("name"),
        "task": task,
        "has_reasons": hasattr(remote, "predict_contributions"),
        "facts": {name: facts.get(name) for name in named},
        "shown_rows": SHOWN_ROWS,
        "features": [
            {
                "name": feature.name,
                "options": None if feature.options is None else [str(option) for option in feature.options],
                "may_be_missing": feature.may_be_missing,
                "hint": feature.hint,
            }
            for feature in features.all
        ],
    }
