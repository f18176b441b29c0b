"""The data owner's half of the `tfhe` engine."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...exceptions import DecryptionError, KeyMismatchError, ProtocolError
from ...utils import progress_bar
from .._base import Client, ClientSpec
from ..messages import pack_message, unpack_client_keys, unpack_message
from ._circuit import load_concrete
from ._comparisons import Comparisons
from ._digits import CodeBits


class TFHEClient(Client):
    """Encrypts comparison bits, or the bits of codes, one row at a time; decrypts scores."""

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self._constants = np.asarray(spec.arrays["constants"])
        self._client = None
        if "specs" in spec.arrays:
            fhe = load_concrete()
            self._client = fhe.Client(fhe.ClientSpecs.deserialize(spec.arrays["specs"].tobytes()))
        self._key_id: str | None = None
        self._evaluation_keys: bytes | None = None

    def generate_keys(self) -> bytes:
        if self._client is not None:
            self._client.keys.generate(force=True)
        return self._adopt(os.urandom(16).hex())

    def _adopt(self, key_id: str) -> bytes:
        """Give the keys that Concrete holds an identity, and pack the evaluation keys."""
        self._key_id = key_id
        blobs = [] if self._client is None else [self._client.evaluation_keys.serialize()]
        self._evaluation_keys = pack_message("evaluation_keys", self._identity(), blobs)
        return self._evaluation_keys

    @property
    def evaluation_keys(self) -> bytes:
        self._identity()
        assert self._evaluation_keys is not None
        return self._evaluation_keys

    def export_keys(self) -> bytes:
        identity = self._identity()
        return pack_message("client_keys", identity, [] if self._client is None else [self._client.keys.serialize()])

    def import_keys(self, keys: bytes) -> None:
        key_id, blobs = unpack_client_keys(keys, self.spec.program_id, n_blobs=0 if self._client is None else 1)
        if self._client is not None:
            try:
                self._client.keys.load_from_bytes(bytes(blobs[0]))
            except RuntimeError as error:
                raise ProtocolError("The client_keys hold what are no keys of Concrete.") from error
        self._adopt(key_id)

    def encrypt(self, codes: np.ndarray) -> bytes:
        identity = self._identity()
        rows = self._inputs(np.asarray(codes))
        blobs = []
        if self._client is not None:
            bar = progress_bar(rows, description="encrypt", verbose=self.verbose)
            blobs = [self._client.encrypt(row).serialize() for row in bar]
        return pack_message("request", {**identity, "n_rows": len(rows)}, blobs)

    def _inputs(self, codes: np.ndarray) -> np.ndarray:
        if codes.ndim != 2 or codes.shape[1] != self.spec.metadata["n_features"]:
            raise ValueError(f"codes must have shape (n_rows, {self.spec.metadata['n_features']}), got {codes.shape}.")
        n_bits = self.spec.metadata["server_code_bits"]
        if n_bits is not None:
            return CodeBits(codes.shape[1], n_bits, self.spec.metadata["with_missing"]).bits(codes)
        return Comparisons.from_arrays(self.spec.arrays).bits(codes)

    def decrypt(self, response: bytes) -> np.ndarray:
        header, blobs = unpack_message("response", response)
        for name, expected in self._identity().items():
            if header.get(name) != expected:
                what = "another model" if name == "program_id" else "other keys"
                raise KeyMismatchError(f"The response was made for {what} ({name} differs).")
        n_rows = header.get("n_rows")
        if not isinstance(n_rows, int) or n_rows < 0 or (self._client is not None and len(blobs) != n_rows):
            raise ProtocolError("The response does not hold a ciphertext for every row.")
        if self._client is None:
            return np.tile(self._constants, (n_rows, 1))
        sums = np.array([self._decrypt_row(blob) for blob in blobs]).reshape(n_rows, -1) + self._constants
        if (sums < self.spec.arrays["smallest"]).any() or (sums > self.spec.arrays["largest"]).any():
            raise DecryptionError(
                "The decrypted scores are outside what the model can give: wrong keys or a wrong response."
            )
        return sums

    def _decrypt_row(self, blob: memoryview) -> np.ndarray:
        fhe = load_concrete()
        try:
            value: Any = fhe.Value.deserialize(bytes(blob))
            return np.asarray(self._client.decrypt(value), dtype=np.int64)  # type: ignore[union-attr]
        except (RuntimeError, ValueError) as error:
            raise ProtocolError("The response holds what is no ciphertext of this program.") from error

    def _identity(self) -> dict[str, str]:
        if self._key_id is None:
            raise KeyMismatchError("This client has no keys yet: call generate_keys() first.")
        return {"program_id": self.spec.program_id, "key_id": self._key_id}
