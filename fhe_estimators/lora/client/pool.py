"""Several workers as one: layers are shared out, responses checked, failures retried elsewhere (client side)."""

from __future__ import annotations

import inspect
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from ...backends.lwe.client.verification import ProductCheck
from ...backends.lwe.parameters import CIPHERTEXT_BITS, LWEParameters
from ...exceptions import FHEError, ProtocolError, WorkerError, WorkerIntegrityError
from ..costs import Costs
from ..model.weights import DIRECTIONS
from ..protocol import PROTOCOL_VERSION, Worker
from .frozen_layer import FrozenLayer
from .holdings import nobody_holds

T = TypeVar("T")


class WorkerPool:
    """Asks workers for products, and believes only what passes the checks.

    A worker that fails comes last from then on. One whose response a check refuses gets no more work, of any layer,
    for as long as the pool lives, and the check vectors that refused it are never used again.

    Parameters
    ----------
    workers : sequence of Worker
    layers : sequence of FrozenLayer
    costs : Costs

    Attributes
    ----------
    failures_ : list of str
        What went wrong with which worker, in order.
    caught_ : list of str
        Workers that answered wrongly.

    Raises
    ------
    WorkerError
        If a layer is held by no worker, or by none with the right weights; it says of each worker why.
    """

    def __init__(self, workers: Sequence[Worker], layers: Sequence[FrozenLayer], costs: Costs):
        self.costs = costs
        self.failures_: list[str] = []
        self.caught_: list[str] = []
        self._n_failures: Counter[str] = Counter()
        digests = self._register(workers, layers)
        self._holders: dict[str, list[Worker]] = {}
        for number, layer in enumerate(layers):
            holders = [worker for worker in workers if digests[worker.name].get(layer.name) == layer.digest]
            if not holders:
                raise WorkerError(nobody_holds(layer, layers, digests, self.failures_))
            first = number % len(holders)
            self._holders[layer.name] = holders[first:] + holders[:first]

    def _register(self, workers: Sequence[Worker], layers: Sequence[FrozenLayer]) -> dict[str, dict[str, str]]:
        """Ask every worker what it holds, and tell it how large its responses may be."""
        names = [worker.name for worker in workers]
        if len(set(names)) < len(names):
            raise ValueError(f"workers={names} has the same worker twice.")
        n_outputs = {(layer.name, d): len(layer.norms[d].euclidean) for layer in layers for d in DIRECTIONS}
        digests = {}
        for worker in workers:
            try:
                digests[worker.name] = worker.digests()
            except FHEError as error:
                digests[worker.name] = {}
                self._note(worker, error)
            if digests[worker.name] and getattr(worker, "protocol_version_", PROTOCOL_VERSION) < 2:
                warnings.warn(
                    f"Worker {worker.name} is of an older release, which does not round its responses: they have 24 "
                    "bits a value in place of 16. Install the same release of fhe_estimators on both.",
                    RuntimeWarning,
                    stacklevel=5,
                )
            expect = getattr(worker, "expect", None)
            if expect is not None:
                expect(n_outputs)
        return digests

    def multiply(
        self, layer: FrozenLayer, direction: str, ciphertexts: torch.Tensor, download_bits: int = CIPHERTEXT_BITS
    ) -> torch.Tensor:
        """Product of ciphertexts and a layer's weights: int8, shape (n_tokens, 3, n_outputs).

        With ``download_bits=16``, the upper two limbs of it, shape (n_tokens, 2, n_outputs), from workers that can
        round; those without such a parameter, which are objects of a caller's, give all three.

        Raises
        ------
        WorkerError
            If no worker that holds the layer gives a response that passes the check; the message names them.
        """

        def ask(worker: Worker, check: ProductCheck | None) -> torch.Tensor:
            start = time.perf_counter()
            rounded = download_bits < CIPHERTEXT_BITS and _can_round(worker)
            options = {"download_bits": download_bits} if rounded else {}
            response, seconds = worker.multiply(layer.name, direction, ciphertexts, **options)
            elapsed = time.perf_counter() - start
            seconds = min(max(0.0, seconds), elapsed)
            self.costs.worker_seconds += seconds
            self.costs.transfer_seconds += elapsed - seconds
            self.costs.upload_bytes += ciphertexts.nbytes
            self.costs.download_bytes += response.nbytes
            n_limbs = (download_bits if rounded else CIPHERTEXT_BITS) // 8
            shape = (len(ciphertexts), n_limbs, len(layer.norms[direction].euclidean))
            if response.shape != shape or response.dtype != torch.int8:
                raise ProtocolError(
                    f"The response has shape {tuple(response.shape)} of {response.dtype}, expected {shape}."
                )
            with self.costs.crypto():
                response = response.to(ciphertexts.device)
                if check is not None and not check.accepts(ciphertexts, response):
                    raise WorkerIntegrityError(f"Worker {worker.name} answered {layer.name}/{direction} wrongly.")
            return response

        return self._first_success(layer, direction, ask)

    def hint(self, layer: FrozenLayer, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """The run's public matrix times a layer's weights, checked: int32, shape (n_outputs, rank, ring_degree)."""

        def ask(worker: Worker, check: ProductCheck | None) -> torch.Tensor:
            start = time.perf_counter()
            hint = worker.hint(layer.name, direction, seed, parameters)
            self.costs.worker_seconds += time.perf_counter() - start
            self.costs.hint_bytes += hint.nbytes
            shape = (len(layer.norms[direction].euclidean), parameters.rank, parameters.ring_degree)
            if hint.shape != shape or hint.dtype != torch.int32:
                raise ProtocolError(f"The hint has shape {tuple(hint.shape)} of {hint.dtype}, expected {shape}.")
            with self.costs.crypto():
                if check is not None and not check.accepts_hint(hint, seed, parameters):
                    raise WorkerIntegrityError(f"Worker {worker.name} sent a wrong hint for {layer.name}/{direction}.")
            return hint

        return self._first_success(layer, direction, ask)

    def _first_success(self, layer: FrozenLayer, direction: str, ask: Callable[[Worker, ProductCheck | None], T]) -> T:
        """The first good response."""
        texts: list[str] = []
        last: FHEError | None = None
        for worker in self._line(layer):
            check = None if layer.checks is None else layer.checks.of(direction)
            try:
                return ask(worker, check)
            except WorkerIntegrityError as error:
                if layer.checks is not None:
                    layer.checks.renew(direction)
                self.caught_.append(worker.name)
                last = error
            except (WorkerError, ProtocolError) as error:
                last = error
            texts.append(self._note(worker, last))
        caught = [worker.name for worker in self._holders[layer.name] if worker.name in self.caught_]
        if caught:
            texts.append(f"{caught} answered wrongly and get no more work in this run.")
        kind = WorkerIntegrityError if caught else WorkerError
        raise kind(f"No worker computed {layer.name}. " + " ".join(texts)) from last

    def _line(self, layer: FrozenLayer) -> Iterator[Worker]:
        """Workers that hold the layer and were not caught, those that failed least first."""
        line = sorted(self._holders[layer.name], key=lambda worker: self._n_failures[worker.name])
        return (worker for worker in line if worker.name not in self.caught_)

    def _note(self, worker: Worker, error: FHEError) -> str:
        """Remember a failure, warn of it, and say it in one sentence that names the worker."""
        text = str(error) if worker.name in str(error) else f"Worker {worker.name}: {error}"
        self._n_failures[worker.name] += 1
        self.failures_.append(f"{worker.name}: {type(error).__name__}: {error}")
        warnings.warn(f"Worker {worker.name} failed ({type(error).__name__}): {error}", RuntimeWarning, stacklevel=6)
        return text


def _can_round(worker: Worker) -> bool:
    """Whether a worker gives rounded responses: a server, or a caller's own class, may be older than they are."""
    if getattr(worker, "protocol_version_", PROTOCOL_VERSION) < 2:
        return False
    parameters = inspect.signature(worker.multiply).parameters
    return "download_bits" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
