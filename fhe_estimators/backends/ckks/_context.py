"""SEAL contexts and SEAL objects as bytes. Knows no secret: both sides use it."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import tenseal.sealapi as seal

from ...exceptions import FHEError, ProtocolError
from .parameters import CKKSParameters


class CKKSContext:
    """A validated SEAL context with its moduli by level.

    Parameters
    ----------
    parameters : CKKSParameters

    Attributes
    ----------
    seal_context : seal.SEALContext
    level_ids : dict of int to parms_id
        SEAL's name for each level.
    primes : dict of int to int
        Rescaling prime of each level from 2 up.
    scales : dict of int to float
        Scale of factors at each level: ``beta_l`` of `_schedule`.
    """

    def __init__(self, parameters: CKKSParameters):
        self.parameters = parameters
        settings = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        settings.set_poly_modulus_degree(parameters.poly_modulus_degree)
        moduli = seal.CoeffModulus.Create(parameters.poly_modulus_degree, list(parameters.coeff_modulus_bits))
        settings.set_coeff_modulus(moduli)
        self.seal_context = seal.SEALContext(settings, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.seal_context.parameters_set():
            raise ValueError(f"SEAL refused the parameters: {self.seal_context.parameter_error_message()}")
        n_base = len(parameters.base_bits)
        self.primes = {level: moduli[n_base + level - 2].value() for level in range(2, parameters.n_levels + 1)}
        self.level_ids: dict[int, Any] = {}
        data = self.seal_context.first_context_data()
        for level in range(parameters.n_levels, 0, -1):
            self.level_ids[level] = data.parms_id()
            data = data.next_context_data()
        top = parameters.n_levels
        self.scales = {top: float(self.primes[top]) if top > 1 else 2.0**parameters.prime_bits}
        for level in range(top - 1, 0, -1):
            self.scales[level] = self.scales[level + 1] * (self.scales[level + 1] / self.primes[level + 1])

    def bit_scale(self, level: int) -> float:
        """Scale of factors at a level."""
        return self.scales[level]


class SealFile:
    """Converts SEAL objects, which read and write files only, to and from bytes through one reused scratch file.

    Use as a context manager. Where the system offers it (Linux) the file is anonymous memory, which no other process
    can open by name and which is gone with this one.

    Parameters
    ----------
    secret : bool, default=False
        Insist on anonymous memory.
    """

    def __init__(self, *, secret: bool = False):
        self._secret = secret

    def __enter__(self) -> SealFile:
        if hasattr(os, "memfd_create"):
            self._handle: Any = os.fdopen(os.memfd_create("fhe_estimators"), "w+b")
            self._path = f"/proc/self/fd/{self._handle.fileno()}"
        elif self._secret:
            raise FHEError(
                "Secret keys can be saved and loaded on Linux only: elsewhere SEAL would write them to disk."
            )
        else:
            self._handle = tempfile.NamedTemporaryFile(prefix="fhe_estimators_")
            self._path = self._handle.name
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.close()

    def dump(self, item: Any) -> bytes:
        """Bytes of a SEAL object."""
        item.save(self._path)
        with open(self._path, "rb") as file:
            return file.read()

    def load(self, item: Any, context: CKKSContext, data: bytes | memoryview, what: str) -> Any:
        """Fill ``item`` from bytes, checked by SEAL against the context; `ProtocolError` otherwise."""
        # Overwritten in place: blobs of a request have about the same size, so no memory changes hands.
        os.pwrite(self._handle.fileno(), data, 0)
        os.ftruncate(self._handle.fileno(), len(data))
        try:
            item.load(context.seal_context, self._path)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ProtocolError(f"The {what} is not valid for this program's parameters: {error}") from error
        return item
