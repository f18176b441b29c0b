"""Batches, and parts of a circuit, in processes of joblib (server side)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tenseal.sealapi as seal
from joblib import Parallel, delayed

from ._batch import EncryptedBatch, answers, needed_blobs, partial_sums
from ._context import SealFile
from ._partition import split_plan
from ._public_keys import PublicKeys
from ._schedule import Schedule
from .program import CKKSProgram


@dataclass(frozen=True)
class _Task:
    """A part of the circuit over a batch. Large data are arrays, which joblib hands over by shared memory."""

    part: int
    n_parts: int
    n_rows: int
    expansion_log2: int
    data: np.ndarray
    blob_bytes: tuple[int, ...]

    @property
    def batch(self) -> EncryptedBatch:
        ends = np.cumsum(self.blob_bytes)
        view = np.ascontiguousarray(self.data).data
        blobs = [view[end - size : end] for size, end in zip(self.blob_bytes, ends, strict=True)]
        return EncryptedBatch(self.n_rows, self.expansion_log2, blobs)


def evaluate_in_processes(
    program: CKKSProgram, message: bytes, keys: PublicKeys, batches: list[EncryptedBatch], n_jobs: int
) -> Iterator[list[bytes]]:
    """Answers of each batch; with fewer batches than processes, the circuit is split as well.

    Parameters
    ----------
    program : CKKSProgram
    message : bytes
        The evaluation keys ...
    keys : PublicKeys
        ... and the same, parsed.
    batches : list of EncryptedBatch
    n_jobs : int
    """
    n_parts = max(1, n_jobs // len(batches))
    plans = split_plan(program.schedule, n_parts)
    tasks = [_task(program, plan, part, len(plans), batch) for batch in batches for part, plan in enumerate(plans)]
    shared_keys = np.frombuffer(message, dtype=np.uint8)
    results = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_run)(program, shared_keys, message[-32:], task) for task in tasks
    )
    with SealFile() as file:
        for _ in batches:
            parts = [next(results) for _ in plans]
            yield parts[0] if len(plans) == 1 else answers(program, keys, _added(keys, parts, file), file)


def _task(program: CKKSProgram, plan: Schedule, part: int, n_parts: int, batch: EncryptedBatch) -> _Task:
    blobs = needed_blobs(program, plan, batch).blobs
    data = np.frombuffer(b"".join(blobs), dtype=np.uint8)
    return _Task(part, n_parts, batch.n_rows, batch.expansion_log2, data, tuple(map(len, blobs)))


def _added(keys: PublicKeys, parts: list[list[bytes]], file: SealFile) -> list[seal.Ciphertext | None]:
    """Sums over the parts; an empty blob adds nothing."""
    evaluator, totals = seal.Evaluator(keys.context.seal_context), []
    for of_score in zip(*parts, strict=True):
        total = None
        for blob in filter(None, of_score):
            ciphertext = file.load(seal.Ciphertext(), keys.context, blob, "partial sum")
            if total is None:
                total = ciphertext
            else:
                evaluator.add_inplace(total, ciphertext)
        totals.append(total)
    return totals


class _Worker:
    """What a process of joblib keeps between tasks: the program, its plans, and a client's parsed keys."""

    def __init__(self, program: CKKSProgram):
        self.program = program
        self._plans: dict[int, list[Schedule]] = {}
        self._keys: tuple[bytes, PublicKeys] | None = None

    def plans(self, n_parts: int) -> list[Schedule]:
        if n_parts not in self._plans:
            self._plans[n_parts] = split_plan(self.program.schedule, n_parts)
        return self._plans[n_parts]

    def keys(self, message: np.ndarray, digest: bytes) -> PublicKeys:
        if self._keys is None or self._keys[0] != digest:
            self._keys = digest, PublicKeys(self.program, message.tobytes())
        return self._keys[1]


_worker: _Worker | None = None


def _run(program: CKKSProgram, message: np.ndarray, digest: bytes, task: _Task) -> list[bytes]:
    """Run in a worker: answers of a batch, or partial sums if the circuit is split."""
    global _worker
    if _worker is None or _worker.program.program_id != program.program_id:
        _worker = _Worker(program)
    keys, plan = _worker.keys(message, digest), _worker.plans(task.n_parts)[task.part]
    sums = partial_sums(_worker.program, keys, plan, task.batch)
    with SealFile() as file:
        if task.n_parts == 1:
            return answers(_worker.program, keys, sums, file)
        return [b"" if total is None else file.dump(total) for total in sums]
