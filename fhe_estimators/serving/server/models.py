"""The models that a service serves: archives by name, read again when their files change."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...exceptions import FHEError
from ...utils.http.server import Metrics, Refusal
from ..http_protocol import MODEL_NAME
from .evaluation import describe_model, explains_model
from .processes import ProcessPool

_log = logging.getLogger("fhe_estimators.serving")
#: How often a model's files are looked at.
_LOOK_SECONDS = 1.0
#: After which files that could not be read or copied are tried again.
_LATER_SECONDS = 30.0
_LOAD_SECONDS = 600.0


@dataclass
class ServedModel:
    """One model.

    Parameters
    ----------
    name : str
        In paths of requests.
    server_path, client_path : Path
        The archives that were given; the client's may be missing.
    """

    name: str
    server_path: Path
    client_path: Path
    #: Copies that no one replaces, so that what was accepted is evaluated with the model that accepted it.
    server_copy: Path = Path()
    client_copy: Path | None = None
    card: dict[str, Any] = field(default_factory=dict)
    #: Of its trees, which it has in common with the model of its contributions.
    trees: str = ""
    mark: Any = None
    looked: float = 0.0
    reloading: asyncio.Task[None] | None = None

    def current_mark(self) -> Any:
        """What changes when a file does."""
        return _mark(self.server_path), _mark(self.client_path)


class ModelSet:
    """All models of a service.

    Parameters
    ----------
    archives : sequence of str
        Paths of server archives, or ``name=path``. The name is else the file's, up to its first dot; the client's
        archive is the file beside it with ``client`` in the place of ``server``.
    folder : Path
        For copies.
    pool : ProcessPool
        Where archives are read.
    metrics : Metrics
        Where changes are counted.

    Raises
    ------
    ValueError
        If two have one name, or a name cannot be part of a path.
    """

    def __init__(self, archives: Sequence[str], folder: Path, pool: ProcessPool, metrics: Metrics):
        self._folder, self._pool = folder, pool
        self._changes = metrics.counter("fhe_model_reloads", "Models read again", "model", "outcome")
        self._models: dict[str, ServedModel] = {}
        for archive in archives:
            name, path = _named(archive)
            if name in self._models:
                raise ValueError(f"Two models have the name {name!r}: give them as name=path.")
            client_path = path.with_name(path.name.replace(".server", ".client"))
            if client_path == path:
                client_path = path.with_name(f"{path.name}.client")
            if not path.is_file():
                raise ValueError(f"{path} is no file: give archives that save_server() wrote.")
            self._models[name] = ServedModel(name, path, client_path)

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self._models)

    async def load(self) -> None:
        """Read all archives; an error of the library names the first that is not right."""
        for model in self._models.values():
            await self._read(model)
        await self._find_explanations()

    def get(self, name: str) -> ServedModel:
        """A model by its name, as it was read last; what has changed is read behind the requests.

        Raises
        ------
        Refusal
            If there is none.
        """
        model = self._models.get(name)
        if model is None:
            raise Refusal(404, "unknown_model", f"No such model: there are {', '.join(self.names)}.")
        if time.monotonic() - model.looked > _LOOK_SECONDS and model.reloading is None:
            model.looked = time.monotonic()
            if model.current_mark() != model.mark:
                model.reloading = asyncio.get_running_loop().create_task(self._reload(model))
        return model

    async def _reload(self, model: ServedModel) -> None:
        try:
            mark = model.current_mark()
            try:
                await self._read(model)
                await self._find_explanations()
                self._changes.labels(model.name, "read").inc()
                _log.warning("Model %s was read again.", model.name)
            except (FHEError, OSError) as error:
                if isinstance(error, FHEError):  # half-written, or wrong: looked at again when it changes
                    model.mark = mark
                else:  # the disk is full, or not there
                    model.looked = time.monotonic() + _LATER_SECONDS
                self._changes.labels(model.name, "failed").inc()
                _log.error("Model %s changed and could not be read; the one before stays: %s", model.name, error)
            except Refusal:
                model.mark = None  # no process was free: tried again
        finally:
            model.reloading = None

    async def _read(self, model: ServedModel) -> None:
        mark = model.current_mark()
        server_copy = _copied(model.server_path, self._folder)
        client_copy = _copied(model.client_path, self._folder) if model.client_path.is_file() else None
        card = await self._pool.run(
            describe_model,
            str(server_copy),
            None if client_copy is None else str(client_copy),
            affinity=str(server_copy),
            seconds=_LOAD_SECONDS,
        )
        model.server_copy, model.client_copy, model.mark = server_copy, client_copy, mark
        model.trees = card.pop("trees")
        model.card = {"name": model.name, **card, "contributions": None, "explains": None}

    async def _find_explanations(self) -> None:
        """Say on the cards which model gives the contributions to which."""
        found: dict[str, str] = {}
        for model in self._models.values():
            for other in self._models.values():
                if other is model or other.trees != model.trees or model.name in found:
                    continue
                archives = str(other.server_copy), str(model.server_copy)
                if await self._pool.run(explains_model, *archives, affinity=archives[1], seconds=_LOAD_SECONDS):
                    found[model.name] = other.name
        explained = {name: of for of, name in found.items()}
        for model in self._models.values():
            links = {"contributions": found.get(model.name), "explains": explained.get(model.name)}
            model.card = {**model.card, **links}


def _named(archive: str) -> tuple[str, Path]:
    name, separator, path = archive.partition("=")
    if not separator:
        name, path = Path(archive).name.partition(".")[0], archive
    if not re.fullmatch(MODEL_NAME, name):
        raise ValueError(f"{name!r} cannot be a model's name: use letters, digits and _.- and give it as name=path.")
    return name, Path(path)


def _mark(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _copied(path: Path, folder: Path) -> Path:
    """A copy under the name of its content."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    copy = folder / digest
    if not copy.exists():
        shutil.copyfile(path, folder / f"{digest}.partial")
        (folder / f"{digest}.partial").replace(copy)
    return copy
