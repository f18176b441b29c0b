"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from typing import Any

from joblib import effective_n_jobs

from ...exceptions import KeyMismatchError
from ...utils import progress_bar
from .._base import Evaluator
from .._messages import pack_message, unpack_message
from ._batch import EncryptedBatch, answers, partial_sums, split_batches
from ._context import SealFile
from ._parallel import evaluate_in_processes
from ._public_keys import PublicKeys
from .program import CKKSProgram


class CKKSEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : CKKSProgram
    n_jobs : int, default=None
        Processes (joblib): over the batches of a request, and over parts of the circuit if there are fewer.
    verbose : int, default=0
    """

    program: CKKSProgram

    def __init__(self, program: CKKSProgram, *, n_jobs: int | None = None, verbose: int = 0):
        super().__init__(program, n_jobs=n_jobs, verbose=verbose)
        self._key_cache: tuple[bytes, PublicKeys] | None = None

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response, both with the header of the client's keys.

        Raises
        ------
        ProtocolError
            If a message is malformed, truncated or made for other parameters.
        KeyMismatchError
            If request, keys and program do not belong together.
        """
        header, blobs = unpack_message("request", request)
        keys = self._parse_keys(evaluation_keys)
        for name, theirs in (("program_id", self.program.program_id), ("key_id", keys.key_id)):
            if header.get(name) != theirs:
                what = "another model" if name == "program_id" else "other keys than the evaluation keys at hand"
                raise KeyMismatchError(f"The request was encrypted for {what} ({name} differs).")
        batches = split_batches(header, blobs, self.program)
        answers = self._evaluate(batches, evaluation_keys, keys)
        reply = {
            "program_id": self.program.program_id,
            "key_id": keys.key_id,
            "batches": [[batch.n_rows, batch.expansion_log2] for batch in batches],
            "constants": self.program.schedule.constants,
        }
        return pack_message("response", reply, [blob for answer in answers for blob in answer])

    def _evaluate(self, batches: list[EncryptedBatch], message: bytes, keys: PublicKeys) -> list[list[bytes]]:
        n_jobs = effective_n_jobs(self.n_jobs)
        if n_jobs > 1:
            results = evaluate_in_processes(self.program, message, keys, batches, n_jobs)
        else:
            verbose = self.verbose if len(batches) == 1 else 0  # a bar over products, or one over batches
            results = (self._evaluate_batch(keys, batch, verbose) for batch in batches)
        verbose = self.verbose if n_jobs > 1 or len(batches) > 1 else 0
        return list(progress_bar(results, description="evaluate", verbose=verbose, total=len(batches)))

    def _evaluate_batch(self, keys: PublicKeys, batch: EncryptedBatch, verbose: int) -> list[bytes]:
        sums = partial_sums(self.program, keys, self.program.schedule, batch, verbose)
        with SealFile() as file:
            return answers(self.program, keys, sums, file)

    def _parse_keys(self, message: bytes) -> PublicKeys:
        """Evaluation keys as SEAL objects; the last ones are kept, since a client sends many requests."""
        if self._key_cache is None or self._key_cache[0] != message:
            self._key_cache = message, PublicKeys(self.program, message)
        return self._key_cache[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}
