"""What `HELoRAFineTuner` is given as ``workers``, as a list of workers (client side)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from ...utils.http import TOKEN_VARIABLE, TOKENS_FILE_VARIABLE
from ..protocol import Worker
from .http import HTTPWorker


def resolve_workers(workers: Any) -> list[Worker] | None:
    """A URL, a worker, or several of either; None stays None.

    ``FHE_ESTIMATORS_TOKEN`` is one secret of one worker: with several at URLs, none of them gets it.
    """
    if workers is None:
        return None
    found = [_resolved(worker) for worker in _listed(workers)]
    if not found:
        raise ValueError("workers is empty: pass URLs or workers, or None for one in this process.")
    if sum(isinstance(worker, HTTPWorker) for worker in found) < 2:
        return found
    without = [w.name for w in found if isinstance(w, HTTPWorker) and w.uses_environment_token]
    if without:
        warnings.warn(
            f"{TOKEN_VARIABLE} is for a client's only worker, and is not sent to {without}. Tokens of several come "
            f"from the JSON file that {TOKENS_FILE_VARIABLE} names, or from HTTPWorker(url, token=...).",
            RuntimeWarning,
            stacklevel=3,
        )
    return [w.without_environment_token() if isinstance(w, HTTPWorker) else w for w in found]


def _listed(workers: Any) -> Iterable[Any]:
    if isinstance(workers, str) or hasattr(workers, "multiply"):
        return [workers]
    if isinstance(workers, Mapping) or not isinstance(workers, Iterable):
        raise TypeError(
            f"workers must be a URL, a worker, or a list of them, got {type(workers).__name__}. Tokens belong into "
            "HTTPWorker(url, token=...): parameters of estimators are shown and pickled."
        )
    return workers


def _resolved(worker: Any) -> Any:
    if isinstance(worker, str):
        return HTTPWorker(worker)
    if not hasattr(worker, "multiply"):
        raise TypeError(f"workers must hold URLs or workers, got {type(worker).__name__}.")
    return worker
