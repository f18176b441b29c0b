"""The server's half of the reference engine."""

from __future__ import annotations

from ...ensembles import sum_leaves
from .._base import Evaluator
from ..messages import check_identity, pack_message, read_matrix, unpack_message
from .program import CODE_DTYPE, SUM_DTYPE, ClearProgram


class ClearEvaluator(Evaluator):
    """Sums leaves in the clear."""

    program: ClearProgram

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys, _ = unpack_message("evaluation_keys", evaluation_keys)
        header, blobs = unpack_message("request", request)
        identity = {"program_id": self.program.program_id, "key_id": str(keys.get("key_id"))}
        check_identity("evaluation keys", keys, **identity)
        check_identity("request", header, **identity)
        codes = read_matrix("request", header, blobs, self.program.ensemble.n_features, CODE_DTYPE)
        sums = sum_leaves(self.program.ensemble, codes).astype(SUM_DTYPE)
        return pack_message("response", {**identity, "n_rows": len(sums)}, [sums.tobytes()])
