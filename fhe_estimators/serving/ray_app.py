"""The scoring service as a deployment of Ray Serve (server side; the extra ``ray``).

``serve run fhe_estimators.serving.ray_app:build archives=/models/model.server.fhe keys_dir=/shared/keys``
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ..utils import import_optional
from ..utils.http.server.tokens import TokenList

_SETTINGS = ("archives", "keys_dir", "token_file", "rerandomize", "private", "limits", "deployment")


def ray_app(
    archives: Sequence[str],
    *,
    keys_dir: str | os.PathLike,
    token_file: str | os.PathLike | None = None,
    rerandomize: bool = False,
    private: bool = False,
    limits: Mapping[str, Any] | None = None,
    deployment: Mapping[str, Any] | None = None,
) -> Any:
    """A Ray Serve application: the service of ``fhe-estimators serve`` in replicas.

    Each replica has the same FastAPI application and one process for evaluations. A replica that dies is replaced, and
    `RemoteModel` sends again what it had not answered.

    Parameters
    ----------
    archives : sequence of str
        Paths of server archives, or ``name=path``, the same on all machines of the cluster.
    keys_dir : path-like
        A folder for evaluation keys that all replicas share: each finds the keys that another received.
    token_file : path-like, default=None
        Tokens of clients, as of ``--token-file``; None: ``FHE_ESTIMATORS_TOKEN`` of the machine, or everybody.
    rerandomize : bool, default=False
        Whether responses hide how they were computed.
    private : bool, default=False
        Whether the page, the metrics and the OpenAPI document need a token, too.
    limits : mapping, default=None
        Parameters of `fhe_estimators.serving.server.service.Limits`; None for its
        defaults, and one process a replica (``n_processes``).
    deployment : mapping, default=None
        Options of `ray.serve.deployment`, such as ``num_replicas``, ``autoscaling_config`` or ``ray_actor_options``;
        None for its defaults.

    Returns
    -------
    app : ray.serve.Application
        For `ray.serve.run`.

    Raises
    ------
    BackendNotAvailableError
        If Ray Serve is not installed.
    ValueError
        If there are no archives.
    """
    serve = import_optional("ray.serve", extra="ray", purpose="A service on a Ray cluster")
    if isinstance(archives, str) or not archives:
        raise ValueError(f"archives must be a sequence of paths of server archives, got {archives!r}.")
    settings = {
        "archives": [str(archive) for archive in archives],
        "keys_dir": str(keys_dir),
        "token_file": None if token_file is None else str(token_file),
        "rerandomize": rerandomize,
        "private": private,
        "limits": {"n_processes": 1, **(limits or {})},
    }

    def application() -> Any:
        return _application(settings)

    # what waits is bounded by the service, which says when to come again
    options = {"name": "scores", "max_ongoing_requests": 100, **(deployment or {})}
    return serve.deployment(**options)(serve.ingress(application)()).bind()


def build(arguments: Mapping[str, Any]) -> Any:
    """What ``serve run`` and the configuration files of Ray Serve call.

    Parameters
    ----------
    arguments : mapping
        Parameters of `ray_app`. ``archives`` may be a string with commas.

    Returns
    -------
    app : ray.serve.Application
        The application.
    """
    unknown = sorted(set(arguments) - set(_SETTINGS))
    if unknown or not {"archives", "keys_dir"} <= set(arguments):
        raise ValueError(
            f"archives= and keys_dir= are needed, and of {', '.join(_SETTINGS)} any; got {sorted(arguments)}."
        )
    archives = arguments["archives"]
    archives = archives.split(",") if isinstance(archives, str) else archives
    return ray_app(archives, **{name: value for name, value in arguments.items() if name != "archives"})


def _application(settings: dict[str, Any]) -> Any:
    """The application of a replica, made there: processes and files cannot be sent to it."""
    from .server.app import create_app
    from .server.service import Limits, ScoringService

    Path(settings["keys_dir"]).mkdir(parents=True, exist_ok=True, mode=0o700)
    service = ScoringService(
        settings["archives"],
        tokens=TokenList.configured(settings["token_file"]),
        limits=Limits(**settings["limits"]),
        keys_folder=settings["keys_dir"],
        rerandomize=settings["rerandomize"],
        private=settings["private"],
    )
    try:
        with ThreadPoolExecutor(1) as thread:  # this one runs an event loop already
            thread.submit(asyncio.run, service.load()).result()
    except BaseException:
        service.close()
        raise
    return create_app(service)
