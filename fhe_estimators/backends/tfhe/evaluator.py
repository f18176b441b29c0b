"""The server's half of the `tfhe` engine."""

from __future__ import annotations

from typing import Any

from ...exceptions import ProtocolError
from ...utils import check_memory, keep_signal_handlers, progress_bar
from .._base import Evaluator
from ..messages import check_identity, pack_message, read_n_rows, response_header, unpack_message
from ._circuit import load_concrete
from .program import TFHEProgram


class TFHEEvaluator(Evaluator):
    """Looks tables up, row after row; Concrete spreads the bootstraps of a row over the cores."""

    program: TFHEProgram

    def __init__(self, program: TFHEProgram, **options: Any):
        super().__init__(program, **options)
        self._key_cache: tuple[bytes, dict[str, Any], Any] | None = None

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys_header, keys = self._parse_keys(evaluation_keys)
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

    def _parse_keys(self, message: bytes) -> tuple[dict[str, Any], Any]:
        """Evaluation keys for Concrete; the last ones are kept, since a client sends many requests."""
        cached = self._key_cache  # read once: another thread may replace it
        if cached is None or cached[0] != message:
            header, blobs = unpack_message("evaluation_keys", message)
            check_identity("evaluation_keys", header, program_id=self.program.program_id)
            cached = self._key_cache = message, header, self._read_keys(blobs)
        return cached[1:]

    def _read_keys(self, blobs: list[memoryview]) -> Any:
        if len(blobs) != (0 if self.program.is_constant else 1):
            raise ProtocolError("The evaluation_keys are malformed.")
        if not blobs:
            return None
        try:
            return load_concrete().EvaluationKeys.deserialize(bytes(blobs[0]))
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("The evaluation_keys hold what are no keys of Concrete.") from error

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}
