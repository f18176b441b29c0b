"""What clients of engines on SEAL do alike: keys as bytes, and checks of what comes back."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import tenseal.sealapi as seal

from ...exceptions import ProtocolError
from ..client import SessionClient
from ..messages import Blob
from .file import SealFile


class SealClient(SessionClient):
    """Base of clients whose secret is a SEAL key.

    SEAL draws every secret and all noise from its Blake2 generator, seeded by the operating system.

    Attributes
    ----------
    context : object
        The context of the program's parameters, with an attribute ``seal_context``; engines set it.
    """

    context: Any
    #: Blobs of the evaluation keys.
    n_public_keys: int

    @abstractmethod
    def _public_keys(self, generator: seal.KeyGenerator) -> Sequence[Any]:
        """SEAL's evaluation keys, in the order of the message; None for one that the program does not need."""

    @abstractmethod
    def _check_ciphertext(self, ciphertext: seal.Ciphertext) -> None:
        """Raise `ProtocolError` if no evaluation gives a ciphertext of this form."""

    def _generate(self) -> tuple[seal.SecretKey, Sequence[Blob]]:
        generator = seal.KeyGenerator(self.context.seal_context)
        with SealFile() as file:
            public = [b"" if key is None else file.dump(key) for key in self._public_keys(generator)]
        return generator.secret_key(), public

    def _dump_keys(self, secret: seal.SecretKey, evaluation_keys: Sequence[Blob]) -> Sequence[Blob]:
        with SealFile(secret=True) as file:
            return [file.dump(secret), *evaluation_keys]

    def _load_keys(self, blobs: Sequence[memoryview]) -> tuple[seal.SecretKey, Sequence[Blob]]:
        if len(blobs) != 1 + self.n_public_keys:
            raise ProtocolError("The client_keys are malformed.")
        with SealFile(secret=True) as file:
            secret = file.load(seal.SecretKey(), self.context, blobs[0], "secret key")
        return secret, blobs[1:]

    def _read_ciphertexts(self, blobs: Sequence[memoryview]) -> list[seal.Ciphertext]:
        """The ciphertexts of a response, checked."""
        ciphertexts = []
        with SealFile() as file:
            for blob in blobs:
                ciphertexts.append(file.load(seal.Ciphertext(), self.context, blob, "response"))
                self._check_ciphertext(ciphertexts[-1])
        return ciphertexts
