"""The server's half of the `tfhe` engine."""

from __future__ import annotations

from typing import Any

from ...exceptions import ProtocolError
from ...utils import check_memory, keep_signal_handlers, progress_bar
from .._base import Evaluator
from ..key_cache import KeyCache
from ..messages import check_identity, pack_message, read_n_rows, response_header, unpack_message
from ._circuit import load_concrete
from .program import TFHEProgram


class TFHEEvaluator(Evaluator):
    """Looks tables up, row after row; Concrete spreads the bootstraps of a row over the cores."""

    program: TFHEProgram

    def __init__(self, program: TFHEProgram, **options: Any):
        super().__init__(program, **options)
        self._keys = KeyCache(self._read_keys)

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys_header, keys = self._keys(evaluation_keys)
        header, blobs = unpack_message("request", request)
        reply = response_header(header, keys_header, self.program.program_id)
        if len(blobs) != (0 if self.program.is_constant else read_n_rows("request", header)):
            raise ProtocolError("The request does not hold a ciphertext for every row.")
        way_out = "Use a larger machine, or backend='ckks'."
        check_memory(self.program.peak_memory_bytes() + len(request), self.memory_budget_bytes, "This request", way_out)
        bar = progress_bar(blobs, description="evaluate", verbose=self.verbose)
        return pack_message("response", reply, [self._evaluate_row(bytes(blob), keys) for blob in bar])

    def _evaluate_row(self, blob: bytes, keys: Any) -> bytes:
        fhe = load_concrete()
        try:
            with keep_signal_handlers():  # of SIGPIPE, for one: a server outlives clients that hang up
                result = self.program.circuit.server.run(fhe.Value.deserialize(blob), evaluation_keys=keys)
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("The request holds what is no ciphertext of this program.") from error
        return result.serialize()

    def _read_keys(self, message: bytes) -> tuple[dict[str, Any], Any]:
        """Header of evaluation keys, and the keys for Concrete."""
        header, blobs = unpack_message("evaluation_keys", message)
        check_identity("evaluation_keys", header, program_id=self.program.program_id)
        if len(blobs) != (0 if self.program.is_constant else 1):
            raise ProtocolError("The evaluation_keys are malformed.")
        if not blobs:
            return header, None
        try:
            return header, load_concrete().EvaluationKeys.deserialize(bytes(blobs[0]))
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("The evaluation_keys hold what are no keys of Concrete.") from error
