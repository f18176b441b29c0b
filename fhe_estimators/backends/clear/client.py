"""The data owner's half of the reference engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...exceptions import ProtocolError
from ..client import RequestRecord, SessionClient
from ..messages import Blob, read_matrix
from .program import SUM_DTYPE, check_codes


class ClearClient(SessionClient):
    """Frames rows and reads sums. Its keys are an identity without any secret."""

    def _generate(self) -> tuple[Any, Sequence[Blob]]:
        return None, []

    def _dump_keys(self, secret: Any, evaluation_keys: Sequence[Blob]) -> Sequence[Blob]:
        return []

    def _load_keys(self, blobs: Sequence[memoryview]) -> tuple[Any, Sequence[Blob]]:
        if blobs:
            raise ProtocolError("The client_keys are malformed: keys of the 'clear' backend hold no secret.")
        return None, []

    def _encrypt(self, secret: Any, codes: np.ndarray, request_id: str) -> tuple[dict[str, Any], Sequence[Blob]]:
        codes = check_codes(codes, self.spec.metadata["n_features"])
        return {"n_rows": len(codes)}, [codes.tobytes()]

    def _read_response(self, request: RequestRecord, blobs: Sequence[memoryview]) -> np.ndarray:
        shape = request.shape["n_rows"], self.spec.metadata["n_scores"]
        return read_matrix("response", blobs, shape, SUM_DTYPE)

    def _decrypt(self, secret: Any, request: RequestRecord, ciphertexts: np.ndarray) -> np.ndarray:
        return ciphertexts.astype(np.int64)
