"""The server's half of the reference engine."""

from __future__ import annotations

from ...ensembles import sum_leaves
from .._base import Evaluator
from ..messages import pack_message, read_matrix, read_n_rows, response_header, unpack_message
from .program import CODE_DTYPE, SUM_DTYPE, ClearProgram


class ClearEvaluator(Evaluator):
    """Sums leaves in the clear."""

    program: ClearProgram

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys, _ = unpack_message("evaluation_keys", evaluation_keys)
        header, blobs = unpack_message("request", request)
        reply = response_header(header, keys, self.program.program_id)
        shape = read_n_rows("request", header), self.program.ensemble.n_features
        codes = read_matrix("request", blobs, shape, CODE_DTYPE)
        sums = sum_leaves(self.program.ensemble, codes).astype(SUM_DTYPE)
        return pack_message("response", reply, [sums.tobytes()])
