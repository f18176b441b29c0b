"""The data owner's half of the reference engine."""

from __future__ import annotations

import os

import numpy as np

from ...exceptions import KeyMismatchError
from .._base import Client, ClientSpec
from ..messages import check_identity, pack_message, read_matrix, unpack_client_keys, unpack_message
from .program import SUM_DTYPE, check_codes


class ClearClient(Client):
    """Frames rows and reads sums. Its "key" is an identity without any secret."""

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self._key_id: str | None = None

    def generate_keys(self) -> bytes:
        self._key_id = os.urandom(16).hex()
        return self.evaluation_keys

    @property
    def evaluation_keys(self) -> bytes:
        return pack_message("evaluation_keys", self._identity(), [])

    def export_keys(self) -> bytes:
        return pack_message("client_keys", self._identity(), [])

    def import_keys(self, keys: bytes) -> None:
        self._key_id, _ = unpack_client_keys(keys, self.spec.program_id, n_blobs=0)

    def encrypt(self, codes: np.ndarray) -> bytes:
        codes = check_codes(codes, self.spec.metadata["n_features"])
        return pack_message("request", {**self._identity(), "n_rows": len(codes)}, [codes.tobytes()])

    def decrypt(self, response: bytes) -> np.ndarray:
        header, blobs = unpack_message("response", response)
        check_identity("response", header, **self._identity())
        return read_matrix("response", header, blobs, self.spec.metadata["n_scores"], SUM_DTYPE).astype(np.int64)

    def _identity(self) -> dict[str, str]:
        if self._key_id is None:
            raise KeyMismatchError("This client has no keys yet: call generate_keys() first.")
        return {"program_id": self.spec.program_id, "key_id": self._key_id}
