"""The data owner's half of the `tfhe` engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...exceptions import DecryptionError, ProtocolError
from ...utils import progress_bar
from .._program import ClientSpec
from ..client import RequestRecord, SessionClient
from ..messages import Blob
from ._circuit import load_concrete
from ._comparisons import Comparisons
from ._digits import CodeBits
from ._key_parameters import load_specs


class TFHEClient(SessionClient):
    """Encrypts comparison bits, or the bits of codes, one row at a time; decrypts scores.

    The secret is a client of Concrete with keys of its own; None if the scores do not depend on the rows. Parameters of
    keys and ciphertexts come with the spec, and are checked before a key is made.
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self._constants = np.asarray(spec.arrays["constants"])
        n_bits = spec.metadata["server_code_bits"]
        self._code_bits = None
        if n_bits is not None:
            self._code_bits = CodeBits(spec.metadata["n_features"], n_bits, spec.metadata["with_missing"])
        self._specs = load_specs(spec.arrays["specs"].tobytes()) if "specs" in spec.arrays else None
        self._n_messages = 0 if self._specs is None else _number_of_messages(spec.arrays["specs"].tobytes())

    def _concrete_client(self) -> Any:
        """A client of Concrete, without keys yet."""
        return load_concrete().Client(self._specs)

    def _generate(self) -> tuple[Any, Sequence[Blob]]:
        if self._specs is None:
            return None, []
        secret = self._concrete_client()
        secret.keys.generate(force=True)
        return secret, [secret.evaluation_keys.serialize()]

    def _dump_keys(self, secret: Any, evaluation_keys: Sequence[Blob]) -> Sequence[Blob]:
        return [] if secret is None else [secret.keys.serialize()]  # the evaluation keys are among them

    def _load_keys(self, blobs: Sequence[memoryview]) -> tuple[Any, Sequence[Blob]]:
        if len(blobs) != (0 if self._specs is None else 1):
            raise ProtocolError("The client_keys are malformed.")
        if self._specs is None:
            return None, []
        secret = self._concrete_client()
        try:
            secret.keys.load_from_bytes(bytes(blobs[0]))
        except RuntimeError as error:
            raise ProtocolError("The client_keys hold what are no keys of Concrete.") from error
        return secret, [secret.evaluation_keys.serialize()]

    def _encrypt(self, secret: Any, codes: np.ndarray, request_id: str) -> tuple[dict[str, Any], Sequence[Blob]]:
        rows = self._inputs(codes)
        if secret is None:
            return {"n_rows": len(rows)}, []
        bar = progress_bar(rows, description="encrypt", verbose=self.verbose)
        return {"n_rows": len(rows)}, [secret.encrypt(row).serialize() for row in bar]

    def _inputs(self, codes: np.ndarray) -> np.ndarray:
        if codes.ndim != 2 or codes.shape[1] != self.spec.metadata["n_features"]:
            raise ValueError(
                f"codes must have shape (n_samples, {self.spec.metadata['n_features']}), got {codes.shape}."
            )
        if self._code_bits is not None:
            return self._code_bits.bits(codes)
        return Comparisons.from_arrays(self.spec.arrays).bits(codes)

    def _read_response(self, request: RequestRecord, blobs: Sequence[memoryview]) -> list[Any]:
        n_expected = 0 if self._specs is None else request.shape["n_rows"]
        if len(blobs) != n_expected:
            raise ProtocolError(f"The response holds {len(blobs)} ciphertexts; the request asked for {n_expected}.")
        return [_read_value(blob) for blob in blobs]

    def _decrypt(self, secret: Any, request: RequestRecord, ciphertexts: list[Any]) -> np.ndarray:
        n_rows = request.shape["n_rows"]
        if secret is None:
            return np.tile(self._constants, (n_rows, 1))
        sums = np.empty((n_rows, len(self._constants)), dtype=np.int64)
        for row, ciphertext in enumerate(ciphertexts):
            sums[row] = self._constants + _decrypted(secret, ciphertext, self._constants.shape)
        # Concrete may take a sum for an unsigned one, and negative ones come out too large by the number of messages.
        smallest = self.spec.arrays["smallest"]
        sums = smallest + (sums - smallest) % self._n_messages
        if (sums > self.spec.arrays["largest"]).any():
            raise DecryptionError("The decrypted scores are outside what the model can give.")
        return sums


def _number_of_messages(specs: bytes) -> int:
    """Messages that an encrypted score can be: the bit of padding doubles their number."""
    try:
        output = json.loads(specs)["circuits"][0]["outputs"][0]
        return 2 ** (int(output["typeInfo"]["lweCiphertext"]["encoding"]["integer"]["width"]) + 1)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ProtocolError("The program's specification does not say how scores are encoded.") from error


def _read_value(blob: memoryview) -> Any:
    try:
        return load_concrete().Value.deserialize(bytes(blob))
    except (RuntimeError, ValueError) as error:
        raise ProtocolError("The response holds what is no ciphertext of Concrete.") from error


def _decrypted(secret: Any, ciphertext: Any, shape: tuple[int, ...]) -> np.ndarray:
    try:
        scores = np.asarray(secret.decrypt(ciphertext))
    except (RuntimeError, ValueError) as error:
        raise DecryptionError("The response holds what is no ciphertext of this program.") from error
    if scores.shape != shape:
        raise DecryptionError("The response holds a ciphertext of another shape than the program's scores.")
    return scores
