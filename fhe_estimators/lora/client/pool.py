"""Several workers as one: layers are shared out, responses checked, failures retried elsewhere (client side)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from ...backends.lwe.parameters import LWEParameters
from ...exceptions import FHEError, ProtocolError, WorkerError, WorkerIntegrityError
from ..costs import Costs
from ..protocol import Worker
from .frozen_layer import FrozenLayer

T = TypeVar("T")


class WorkerPool:
    """Asks workers for products, and believes only what passes the checks.

    Parameters
    ----------
    workers : sequence of Worker
    layers : sequence of FrozenLayer
    costs : Costs

    Attributes
    ----------
    failures_ : list of str
        What went wrong with which worker, in order.

    Raises
    ------
    WorkerError
        If a layer is held by no worker, or by none with the right weights.
    """

    def __init__(self, workers: Sequence[Worker], layers: Sequence[FrozenLayer], costs: Costs):
        self.costs = costs
        self.failures_: list[str] = []
        digests = self._digests(workers)
        self._holders: dict[str, list[Worker]] = {}
        for number, layer in enumerate(layers):
            holders = [worker for worker in workers if digests[worker.name].get(layer.name) == layer.digest]
            if not holders:
                raise WorkerError(_nobody_holds(layer, digests))
            first = number % len(holders)
            self._holders[layer.name] = holders[first:] + holders[:first]

    def _digests(self, workers: Sequence[Worker]) -> dict[str, dict[str, str]]:
        names = [worker.name for worker in workers]
        if len(set(names)) < len(names):
            raise ValueError(f"workers={names} has the same worker twice.")
        digests = {}
        for worker in workers:
            try:
                digests[worker.name] = worker.digests()
            except FHEError as error:
                digests[worker.name] = {}
                self._note(worker, error)
        return digests

    def multiply(self, layer: FrozenLayer, direction: str, ciphertexts: torch.Tensor) -> torch.Tensor:
        """Product of ciphertexts and a layer's weights: int8, shape (n_tokens, 3, n_outputs).

        Raises
        ------
        WorkerError
            If no worker that holds the layer gives a response that passes the check; the message names them.
        """

        def ask(worker: Worker) -> torch.Tensor:
            start = time.perf_counter()
            response, seconds = worker.multiply(layer.name, direction, ciphertexts)
            self.costs.worker_seconds += seconds
            self.costs.transfer_seconds += max(0.0, time.perf_counter() - start - seconds)
            self.costs.upload_bytes += ciphertexts.nbytes
            self.costs.download_bytes += response.nbytes
            shape = (len(ciphertexts), 3, len(layer.norms[direction].euclidean))
            if response.shape != shape or response.dtype != torch.int8:
                raise ProtocolError(
                    f"The response has shape {tuple(response.shape)} of {response.dtype}, expected {shape}."
                )
            with self.costs.crypto():
                if direction in layer.checks and not layer.checks[direction].accepts(
                    ciphertexts, response.to(ciphertexts.device)
                ):
                    raise WorkerIntegrityError(f"Worker {worker.name} answered {layer.name}/{direction} wrongly.")
            return response.to(ciphertexts.device)

        return self._first_success(layer, ask)

    def hint(self, layer: FrozenLayer, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """The run's public matrix times a layer's weights, checked: int32, shape (n_outputs, rank, ring_degree)."""

        def ask(worker: Worker) -> torch.Tensor:
            start = time.perf_counter()
            hint = worker.hint(layer.name, direction, seed, parameters)
            self.costs.worker_seconds += time.perf_counter() - start
            self.costs.hint_bytes += hint.nbytes
            shape = (len(layer.norms[direction].euclidean), parameters.rank, parameters.ring_degree)
            if hint.shape != shape or hint.dtype != torch.int32:
                raise ProtocolError(f"The hint has shape {tuple(hint.shape)} of {hint.dtype}, expected {shape}.")
            with self.costs.crypto():
                if direction in layer.checks and not layer.checks[direction].accepts_hint(hint, seed, parameters):
                    raise WorkerIntegrityError(f"Worker {worker.name} sent a wrong hint for {layer.name}/{direction}.")
            return hint

        return self._first_success(layer, ask)

    def _first_success(self, layer: FrozenLayer, ask: Callable[[Worker], T]) -> T:
        """The first good response; workers that fail go to the end of the line, for this layer."""
        holders, errors = self._holders[layer.name], []
        for worker in list(holders):
            try:
                return ask(worker)
            except (WorkerError, ProtocolError) as error:
                errors.append(f"{worker.name}: {error}")
                self._note(worker, error)
                holders.remove(worker)
                holders.append(worker)
                last = error
        kind = WorkerIntegrityError if isinstance(last, WorkerIntegrityError) else WorkerError
        raise kind(f"No worker computed {layer.name}. " + "; ".join(errors)) from last

    def _note(self, worker: Worker, error: Exception) -> None:
        self.failures_.append(f"{worker.name}: {type(error).__name__}: {error}")
        warnings.warn(f"Worker {worker.name} failed ({type(error).__name__}): {error}", RuntimeWarning, stacklevel=6)


def _nobody_holds(layer: FrozenLayer, digests: dict[str, dict[str, str]]) -> str:
    others = [name for name, held in digests.items() if layer.name in held]
    if others:
        return (
            f"Workers {others} hold other weights for layer {layer.name!r} than the client's model was quantized to. "
            "Split the same checkpoint with the same weight_quantizer for client and workers."
        )
    return f"No worker holds layer {layer.name!r}; asked {sorted(digests)}."
