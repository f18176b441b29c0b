"""What workers hold and how fast they are, asked before a run (client side)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from ...exceptions import FHEError
from ..model.weights import FORWARD
from ..protocol import Worker
from .frozen_layer import FrozenLayer
from .holdings import holding, is_usable

_N_REQUESTS = 3
_N_TOKENS = 64


def report_workers(workers: Sequence[Worker], layers: Sequence[FrozenLayer] | None) -> list[dict[str, Any]]:
    """A report on each worker; ``layers`` are those of the model, None if it is not known."""
    return [_report(worker, layers) for worker in workers]


def _report(worker: Worker, layers: Sequence[FrozenLayer] | None) -> dict[str, Any]:
    report: dict[str, Any] = {
        "worker": worker.name,
        "usable": False,
        "message": "",
        "n_layers": None,
        "release": None,
        "latency_seconds": None,
        "bytes_per_second": None,
    }
    try:
        held = worker.digests()
        start = time.perf_counter()
        for _ in range(_N_REQUESTS):
            worker.digests()
        report["latency_seconds"] = (time.perf_counter() - start) / _N_REQUESTS
        report["n_layers"] = len(held)
        report["release"] = getattr(worker, "release_", None)
        report["message"] = holding(held, layers) if layers is not None else f"It holds {len(held)} layers."
        report["usable"] = bool(held) if layers is None else is_usable(held, layers)
        report["bytes_per_second"] = _pace(worker, held, layers)
    except FHEError as error:
        report |= {"usable": False, "message": str(error)}
    return report


def _pace(worker: Worker, held: dict[str, str], layers: Sequence[FrozenLayer] | None) -> float | None:
    """Bytes a second of a product of random bytes by the first layer, there and back."""
    if layers is None:
        sizes = {name: shape[1] for name, shape in getattr(worker, "shapes_", {}).items()}
    else:
        sizes = {layer.name: layer.n_inputs for layer in layers}
    name = next((name for name in held if name in sizes), None)
    if name is None:
        return None
    ciphertexts = torch.randint(-128, 128, (_N_TOKENS, 3, sizes[name]), dtype=torch.int8)
    start = time.perf_counter()
    response, _ = worker.multiply(name, FORWARD, ciphertexts)
    return (ciphertexts.nbytes + response.nbytes) / (time.perf_counter() - start)
