"""What the reference engine's server runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from ...utils import PROCESS_BYTES
from .._program import ClientSpec, Program
from ..messages import program_digest

#: Types in which codes and leaf sums cross the network.
CODE_DTYPE, SUM_DTYPE = np.dtype("<i4"), np.dtype("<i8")

#: Seconds of a tree on a row, roughly: next to nothing beside any encryption.
_ROW_SECONDS = 1e-7


@dataclass(frozen=True, eq=False)
class ClearProgram(Program):
    """A quantized ensemble with the identity that ties messages to it.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    client_learns : str
        What the quantizer shows the client of the model, for `describe`.

    Attributes
    ----------
    program_id : str
        Digest that messages carry.
    """

    ensemble: TreeEnsemble
    client_learns: str
    program_id: str = field(init=False)

    backend = "clear"

    def __post_init__(self) -> None:
        if not self.ensemble.is_quantized:
            raise ValueError("Only a quantized ensemble can be compiled: call Backend.quantize first.")
        object.__setattr__(self, "program_id", program_digest(self.ensemble, self.metadata()))

    @classmethod
    def from_metadata(cls, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> ClearProgram:
        """Restore what `metadata` describes; `ProtocolError` if it belongs to another engine."""
        if metadata.get("scheme") != cls.backend or not isinstance(metadata.get("client_learns"), str):
            raise ProtocolError(f"These settings are not those of a program of the {cls.backend!r} backend.")
        return cls(ensemble, client_learns=metadata["client_learns"])

    def metadata(self) -> dict[str, Any]:
        return {"scheme": self.backend, "client_learns": self.client_learns}

    @property
    def client_spec(self) -> ClientSpec:
        shape = {"n_features": self.ensemble.n_features, "n_scores": self.ensemble.n_scores}
        return ClientSpec(backend=self.backend, program_id=self.program_id, metadata=shape)

    def describe(self) -> dict[str, Any]:
        return {
            "scheme": "none (clear)",
            "security_bits": 0,
            "poly_modulus_degree": 0,
            "depth": 0,
            "n_ciphertexts": 0,
            "rows_per_ciphertext": 1,
            "upload_bytes": self.ensemble.n_features * CODE_DTYPE.itemsize,
            "download_bytes": self.ensemble.n_scores * SUM_DTYPE.itemsize,
            "predicted_seconds": {n_rows: _ROW_SECONDS * n_rows * self.ensemble.n_trees for n_rows in (1, 1000)},
            "peak_memory_bytes": PROCESS_BYTES,
            "evaluation_key_bytes": 0,
            "server_sees": "everything: this backend encrypts nothing",
            "client_learns": self.client_learns,
            "can_rerandomize": False,
            "flooding_bits": 0.0,
        }


def check_codes(codes: np.ndarray, n_features: int) -> np.ndarray:
    """Codes as a contiguous array of shape (n_samples, n_features), int32; `ValueError` otherwise."""
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.shape[1] != n_features or codes.dtype.kind != "i":
        raise ValueError(
            f"codes must be integers of shape (n_samples, {n_features}), got {codes.dtype} of shape {codes.shape}."
        )
    return np.ascontiguousarray(codes, dtype=CODE_DTYPE)
