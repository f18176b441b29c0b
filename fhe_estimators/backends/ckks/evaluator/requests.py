"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs

from ....utils import StepProgress, check_memory
from ..._base import Evaluator
from ...key_cache import KeyCache
from ...messages import pack_message, response_header, unpack_message
from ..program import CKKSProgram
from .batch import EncryptedBatch, evaluate_batch, split_batches
from .evaluation_keys import PublicKeys


class CKKSEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : CKKSProgram
    **options
        Of `Evaluator`; processes (joblib) take batches of a request.
    """

    program: CKKSProgram

    def __init__(self, program: CKKSProgram, **options: Any):
        super().__init__(program, **options)
        self._keys = KeyCache(partial(PublicKeys, program))

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response.

        Raises
        ------
        ProtocolError
            If a message is malformed, truncated or made for other parameters.
        KeyMismatchError
            If request, keys and program do not belong together.
        MemoryBudgetError
            If the evaluation would take more memory than the budget.
        """
        header, blobs = unpack_message("request", request)
        keys = self._keys(evaluation_keys)
        reply = response_header(header, keys.header, self.program.program_id)
        batches = split_batches(header, blobs, self.program)
        self._check_memory(batches)
        responses = self._evaluate(batches, evaluation_keys, keys)
        return pack_message("response", reply, [blob for response in responses for blob in response])

    def _evaluate(self, batches: list[EncryptedBatch], message: bytes, keys: PublicKeys) -> list[list[bytes]]:
        costs = [self.program.batch_cost(batch.expansion_log2).finished for batch in batches]
        description = f"evaluate {sum(batch.n_rows for batch in batches):,} rows"
        if self._n_processes(batches) == 1:
            finished = np.concatenate(costs) + np.repeat(_starts(costs), [len(cost) for cost in costs])
            with StepProgress(finished, description=description, verbose=self.verbose) as step:
                return [
                    evaluate_batch(self.program, keys, batch, rerandomize=self.rerandomize, after_step=step)
                    for batch in batches
                ]
        tasks = (
            delayed(_evaluate_in_worker)(self.program, message, batch.portable(), self.rerandomize) for batch in batches
        )
        try:
            responses = Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks)
        except ValueError:  # some backends of joblib return everything at the end, such as Ray's
            responses = Parallel(n_jobs=self.n_jobs)(tasks)
        finished = _starts(costs) + [cost[-1] for cost in costs]
        evaluated = []
        with StepProgress(finished, description=description, verbose=self.verbose) as step:
            for response in responses:
                evaluated.append(response)
                step()
        return evaluated

    def _n_processes(self, batches: list[EncryptedBatch]) -> int:
        return min(len(batches), effective_n_jobs(self.n_jobs))

    def _check_memory(self, batches: list[EncryptedBatch]) -> None:
        expansions, n_processes = [batch.expansion_log2 for batch in batches], self._n_processes(batches)
        needed = self.program.peak_memory_bytes(expansions, n_processes)
        check_memory(needed, self.memory_budget_bytes, "This request", self.program.way_out(expansions, n_processes))


_worker: CKKSEvaluator | None = None


def _evaluate_in_worker(
    program: CKKSProgram, evaluation_keys: bytes, batch: EncryptedBatch, rerandomize: bool
) -> list[bytes]:
    """Run by joblib's processes, each of which parses a client's keys once."""
    global _worker
    if _worker is None or _worker.program.program_id != program.program_id:
        _worker = CKKSEvaluator(program)
    return evaluate_batch(_worker.program, _worker._keys(evaluation_keys), batch, rerandomize=rerandomize)


def _starts(costs: list[np.ndarray]) -> np.ndarray:
    """Seconds that have passed before each batch, one after the other."""
    return np.cumsum([0.0, *(cost[-1] for cost in costs[:-1])])
