"""What the processes of a service run: programs are loaded when they are asked for, evaluation keys parsed once.

SEAL's binding holds the interpreter's lock while it computes, so evaluations need processes. They get paths that the
service chose, and bytes of clients, which engines parse without running code.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

from ...backends.messages import count_rows, unpack_message
from ...ensembles.links import ClassificationLink, IsolationLink
from ...exceptions import FHEError, KeyMismatchError, MemoryBudgetError, ProtocolError
from ..archive import load_client_archive
from .explanations import explains, trees_digest
from .fhe_server import FHEServer

#: Programs that a process keeps, and evaluators with the parsed keys of one client each.
MAX_PROGRAMS, MAX_EVALUATORS = 4, 256
#: Of evaluation keys whose parsed form is kept, the last one excepted, unless the service says how many.
MAX_KEY_BYTES = 64 << 20
#: After which keys that nobody uses are not kept when others come.
_UNUSED_SECONDS = 600.0

_options: dict[str, Any] = {}
_programs: OrderedDict[str, FHEServer] = OrderedDict()
_evaluators: OrderedDict[tuple[str, str], tuple[FHEServer, bytes]] = OrderedDict()
_used: dict[tuple[str, str], float] = {}


class KeysGoneError(FHEError, LookupError):
    """Evaluation keys were removed before their request was evaluated."""


class TooManyRowsError(FHEError, ValueError):
    """A request holds more rows than a server takes at a time."""


def prepare(options: dict[str, Any]) -> None:
    """Run first in each process: it ends with the service, and by the service's word only."""
    for name in ("SIGINT", "SIGTERM"):  # they reach the whole group, also what still computes an accepted request
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _options.update(options)


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def process_id() -> int:
    """Its number; asked of a new process, to know that it runs."""
    return os.getpid()


def describe_model(server_archive: str, client_archive: str | None) -> dict[str, Any]:
    """Facts of a model, as JSON: what a person or a client sees before anything is sent."""
    server = _program(server_archive)
    card: dict[str, Any] = {
        "program_id": server.program.client_spec.program_id,
        "backend": server.program.backend,
        "n_features": int(server.program.ensemble.n_features),
        "describe": json.loads(json.dumps(server.describe(), default=str)),
        "client_archive": client_archive is not None,
        "trees": trees_digest(server.program.ensemble),
    }
    if client_archive is not None:
        model = load_client_archive(client_archive)
        if model.spec.program_id != card["program_id"]:
            raise KeyMismatchError(
                "Server and client archive belong to different models: write both with save_server() and save_client() "
                "of the same compiled estimator."
            )
        names = getattr(model.quantizer, "feature_names_in_", None)
        card["feature_names"] = None if names is None else [str(name) for name in names]
        card["classes"] = _plain(model.classes)
        card["task"] = (
            "classification"
            if isinstance(model.link, ClassificationLink)
            else "outliers"
            if isinstance(model.link, IsolationLink)
            else "regression"
        )
    return card


def explains_model(contributions_archive: str, server_archive: str) -> bool:
    """Whether the scores of one model are the contributions to those of another."""
    contributions, program = _program(contributions_archive).program, _program(server_archive).program
    return explains(contributions.ensemble, program.ensemble)


def _plain(classes: Any) -> Any:
    if classes is None:
        return None
    return [_plain(of_output) for of_output in classes] if isinstance(classes, list) else classes.tolist()


def check_keys(keys_path: str, program_id: str) -> None:
    """Whether a file holds intact evaluation keys for a program; a `ProtocolError` if not."""
    header, _ = unpack_message("evaluation_keys", Path(keys_path).read_bytes())
    if header.get("program_id") != program_id:
        raise KeyMismatchError("The evaluation keys were made for another model (program_id differs).")


def evaluate(server_archive: str, keys_path: str, request: bytes, max_rows: int | None) -> bytes:
    """The response to a request."""
    if max_rows is not None:
        n_rows = count_rows(request)
        if n_rows is not None and n_rows > max_rows:
            raise TooManyRowsError(f"The request holds {n_rows} rows, more than the {max_rows} of --max-rows.")
    server, keys = _evaluator(server_archive, keys_path)
    try:
        return server.run(request, keys)
    except FHEError:
        raise
    except MemoryError as error:
        raise MemoryBudgetError("The server's memory does not suffice for this request.") from error
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        # Engines check what they parse; what they overlook is still the request's fault, and its text may quote it.
        raise ProtocolError("The request is malformed: the engine could not evaluate it.") from error


def _program(path: str) -> FHEServer:
    if path not in _programs:
        budget = _options.get("memory_budget_bytes")
        rerandomize = bool(_options.get("rerandomize"))
        _programs[path] = FHEServer.load(path, memory_budget_bytes=budget, rerandomize=rerandomize)
    _programs.move_to_end(path)
    while len(_programs) > MAX_PROGRAMS:
        forgotten, _ = _programs.popitem(last=False)
        for key in [key for key in _evaluators if key[0] == forgotten]:
            _forget(key)
    return _programs[path]


def _evaluator(path: str, keys_path: str) -> tuple[FHEServer, bytes]:
    """A server of its own for each client, since evaluators keep the last client's keys parsed."""
    key = path, keys_path
    if key not in _evaluators:
        try:
            keys = Path(keys_path).read_bytes()
        except FileNotFoundError:
            raise KeysGoneError("These evaluation keys are not there any more: send them again.") from None
        for unused in [old for old in _evaluators if not _is_kept(old)]:
            _forget(unused)
        shared = _program(path)
        own = FHEServer(
            shared.program,
            memory_budget_bytes=_options.get("memory_budget_bytes"),
            rerandomize=bool(_options.get("rerandomize")),
        )
        _evaluators[key] = own, keys
    else:
        _program(path)  # it counts as used
    _evaluators.move_to_end(key)
    _used[key] = time.monotonic()
    kept_bytes = _options.get("kept_key_bytes", MAX_KEY_BYTES)
    while len(_evaluators) > 1 and (
        len(_evaluators) > MAX_EVALUATORS or sum(len(keys) for _, keys in _evaluators.values()) > kept_bytes
    ):
        _forget(next(iter(_evaluators)))
    return _evaluators[key]


def _is_kept(key: tuple[str, str]) -> bool:
    """Whether the service still has the keys, and somebody used them lately."""
    return time.monotonic() - _used[key] < _UNUSED_SECONDS and os.path.exists(key[1])


def _forget(key: tuple[str, str]) -> None:
    del _evaluators[key], _used[key]
