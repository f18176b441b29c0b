"""The server's half of the `tfhe` engine."""

from __future__ import annotations

from typing import Any

from ...exceptions import KeyMismatchError, ProtocolError
from ...utils import progress_bar
from .._base import Evaluator
from ..messages import pack_message, unpack_message
from ._circuit import load_concrete
from .program import TFHEProgram


class TFHEEvaluator(Evaluator):
    """Looks tables up, row after row; Concrete spreads the bootstraps of a row over the cores."""

    program: TFHEProgram

    def __init__(self, program: TFHEProgram, *, n_jobs: int | None = None, verbose: int = 0):
        super().__init__(program, n_jobs=n_jobs, verbose=verbose)
        self._key_cache: tuple[bytes, dict[str, Any], Any] | None = None

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        keys_header, keys = self._parse_keys(evaluation_keys)
        header, blobs = unpack_message("request", request)
        if header.get("program_id") != self.program.program_id:
            raise KeyMismatchError("The request was encrypted for another model (program_id differs).")
        if keys_header.get("program_id") != self.program.program_id:
            raise KeyMismatchError("The evaluation keys were generated for another model (program_id differs).")
        if header.get("key_id") != keys_header.get("key_id"):
            raise KeyMismatchError(
                "The request was encrypted for other keys than the evaluation keys at hand (key_id differs)."
            )
        n_rows = header.get("n_rows")
        if not isinstance(n_rows, int) or len(blobs) != (0 if self.program.is_constant else n_rows):
            raise ProtocolError("The request does not hold a ciphertext for every row.")
        bar = progress_bar(blobs, description="evaluate", verbose=self.verbose)
        responses = [self._evaluate_row(bytes(blob), keys) for blob in bar]
        identity = {"program_id": self.program.program_id, "key_id": str(header["key_id"])}
        return pack_message("response", {**identity, "n_rows": n_rows}, responses)

    def _evaluate_row(self, blob: bytes, keys: Any) -> bytes:
        fhe = load_concrete()
        try:
            result = self.program.circuit.server.run(fhe.Value.deserialize(blob), evaluation_keys=keys)
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("The request holds what is no ciphertext of this program.") from error
        return result.serialize()

    def _parse_keys(self, message: bytes) -> tuple[dict[str, Any], Any]:
        """Evaluation keys for Concrete; the last ones are kept, since a client sends many requests."""
        cached = self._key_cache  # read once: another thread may replace it
        if cached is None or cached[0] != message:
            header, blobs = unpack_message("evaluation_keys", message)
            keys = load_concrete().EvaluationKeys.deserialize(bytes(blobs[0])) if blobs else None
            cached = self._key_cache = message, header, keys
        return cached[1:]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}
