"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from functools import partial
from typing import Any

from joblib import Parallel, delayed, effective_n_jobs

from ....exceptions import ProtocolError
from ....utils import check_memory, memory_budget, progress_bar
from ..._base import Evaluator
from ...key_cache import KeyCache
from ...messages import pack_message, read_n_rows, response_header, unpack_message
from ...seal.file import SealFile
from ..program import WAY_OUT, BFVProgram
from ..sizes import CACHE_BYTES, plaintext_bytes
from .batch import sum_blocks
from .evaluation_keys import PublicKeys
from .leaf_sums import LeafSums
from .plaintexts import PlaintextCache


class BFVEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : BFVProgram
        Compiled.
    **options
        Of `Evaluator`; processes (joblib) take blocks of leaves, or batches of a request. There is no
        re-randomization.
    """

    program: BFVProgram

    def __init__(self, program: BFVProgram, **options: Any):
        super().__init__(program, **options)
        self._keys = KeyCache(partial(PublicKeys, program))
        self._plaintexts = PlaintextCache(plaintext_bytes(program.parameters))

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
        n_rows = read_n_rows("request", header)
        n_batches, n_inputs = -(-n_rows // self.program.layout(n_rows).n_samples), self.program.n_inputs
        if len(blobs) != n_batches * n_inputs:
            raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {n_batches * n_inputs}.")
        tasks = self._tasks(n_batches)
        self._make_room(len(request), self._n_processes(tasks))
        results: list[bytes] = []
        if self.program.n_outputs:
            batches = [blobs[n_inputs * batch : n_inputs * (batch + 1)] for batch in range(n_batches)]
            results = self._evaluate(evaluation_keys, keys, n_rows, batches, tasks)
        return pack_message("response", reply, results)

    def _tasks(self, n_batches: int) -> list[tuple[int, range]]:
        """What processes do: a batch and some of its blocks, so that there is work for each of them."""
        n_processes = effective_n_jobs(self.n_jobs)
        size = max(1, -(-self.program.n_blocks * n_batches // n_processes))
        n_blocks = self.program.n_blocks
        starts = range(0, n_blocks, size)
        return [(batch, range(s, min(s + size, n_blocks))) for batch in range(n_batches) for s in starts]

    def _n_processes(self, tasks: list[tuple[int, range]]) -> int:
        return min(max(1, len(tasks)), effective_n_jobs(self.n_jobs))

    def _make_room(self, request_bytes: int, n_processes: int) -> None:
        """Refuse what does not fit into the memory budget, and keep as many plaintexts as fit."""
        needed = request_bytes + n_processes * self.program.required_memory_bytes()
        way_out = f"{WAY_OUT}."
        if n_processes > 1:
            way_out = f"Use a smaller n_jobs. {way_out}"
        check_memory(needed, self.memory_budget_bytes, "This request", way_out)
        room = (memory_budget(self.memory_budget_bytes) - needed) // n_processes
        self._plaintexts.limit(min(CACHE_BYTES, room))

    def _evaluate(
        self,
        message: bytes,
        keys: PublicKeys,
        n_rows: int,
        batches: list[list[memoryview]],
        tasks: list[tuple[int, range]],
    ) -> list[bytes]:
        """A blob for each batch and output of the program."""
        layout, results = self.program.layout(n_rows), list[bytes]()
        if self._n_processes(tasks) == 1:
            for inputs in batches:
                sums = sum_blocks(
                    self.program, keys, layout, self._plaintexts, inputs, range(self.program.n_blocks),
                    verbose=self.verbose,
                )  # fmt: skip
                results += self._finished(sums)
            return results
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_sum_in_worker)(
                self.program,
                message,
                n_rows,
                [bytes(blob) for blob in batches[batch]],
                blocks,
                self._plaintexts.capacity,
            )
            for batch, blocks in progress_bar(tasks, description="evaluate", verbose=self.verbose)
        )
        with SealFile() as file:
            for batch in range(len(batches)):
                sums = LeafSums(self.program, keys, layout, self._plaintexts)
                for (of_batch, _), part in zip(tasks, parts, strict=True):
                    if of_batch == batch:
                        sums.merge(file, part)
                results += self._finished(sums)
        return results

    def _finished(self, sums: LeafSums) -> list[bytes]:
        with SealFile() as file:
            return [file.dump(result) for result in sums.results()]


_worker: BFVEvaluator | None = None


def _sum_in_worker(
    program: BFVProgram, evaluation_keys: bytes, n_rows: int, inputs: list[bytes], blocks: range, kept_bytes: int
) -> list[bytes]:
    """Run by joblib's processes, each of which parses a client's keys and encodes its plaintexts once."""
    global _worker
    if _worker is None or _worker.program.program_id != program.program_id:
        _worker = BFVEvaluator(program)
    keys, cache = _worker._keys(evaluation_keys), _worker._plaintexts
    cache.limit(kept_bytes)
    with SealFile() as file:
        return sum_blocks(_worker.program, keys, _worker.program.layout(n_rows), cache, inputs, blocks).dump(file)
