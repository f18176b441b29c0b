"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from typing import Any

from joblib import Parallel, delayed

from ....utils import progress_bar
from ..._base import Evaluator
from ...messages import pack_message, response_header, unpack_message
from ..program import CKKSProgram
from .batch import EncryptedBatch, evaluate_batch, split_batches
from .evaluation_keys import PublicKeys


class CKKSEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : CKKSProgram
    n_jobs : int, default=None
        Processes over the batches of a request (joblib).
    verbose : int, default=0
    """

    program: CKKSProgram

    def __init__(self, program: CKKSProgram, *, n_jobs: int | None = None, verbose: int = 0, rerandomize: bool = False):
        super().__init__(program, n_jobs=n_jobs, verbose=verbose, rerandomize=rerandomize)
        self._key_cache: tuple[bytes, PublicKeys] | None = None

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response.

        Raises
        ------
        ProtocolError
            If a message is malformed, truncated or made for other parameters.
        KeyMismatchError
            If request, keys and program do not belong together.
        """
        header, blobs = unpack_message("request", request)
        keys = self._parse_keys(evaluation_keys)
        reply = response_header(header, keys.header, self.program.program_id)
        batches = split_batches(header, blobs, self.program)
        responses = self._evaluate(batches, evaluation_keys, keys)
        return pack_message("response", reply, [blob for response in responses for blob in response])

    def _evaluate(self, batches: list[EncryptedBatch], message: bytes, keys: PublicKeys) -> list[list[bytes]]:
        if len(batches) == 1:
            return [evaluate_batch(self.program, keys, batches[0], rerandomize=self.rerandomize, verbose=self.verbose)]
        if self.n_jobs in (None, 1):
            responses = (evaluate_batch(self.program, keys, batch, rerandomize=self.rerandomize) for batch in batches)
        else:
            responses = Parallel(n_jobs=self.n_jobs, return_as="generator")(
                delayed(_evaluate_in_worker)(self.program, message, batch, self.rerandomize) for batch in batches
            )
        return list(progress_bar(responses, description="evaluate", verbose=self.verbose, total=len(batches)))

    def _parse_keys(self, message: bytes) -> PublicKeys:
        """Evaluation keys as SEAL objects; the last ones are kept, since a client sends many requests."""
        cached = self._key_cache  # read once: another thread may replace it
        if cached is None or cached[0] != message:
            cached = self._key_cache = message, PublicKeys(self.program, message)
        return cached[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}


_worker: CKKSEvaluator | None = None


def _evaluate_in_worker(
    program: CKKSProgram, evaluation_keys: bytes, batch: EncryptedBatch, rerandomize: bool
) -> list[bytes]:
    """Run by joblib's processes, each of which parses a client's keys once."""
    global _worker
    if _worker is None or _worker.program.program_id != program.program_id:
        _worker = CKKSEvaluator(program)
    return evaluate_batch(_worker.program, _worker._parse_keys(evaluation_keys), batch, rerandomize=rerandomize)
