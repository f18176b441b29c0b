"""Public evaluation keys as SEAL objects, and the context they live in (server side)."""

from __future__ import annotations

from typing import Any, Protocol

import tenseal.sealapi as seal

from ...exceptions import ProtocolError
from ..messages import check_identity, unpack_message
from .file import SealFile


class KeyedProgram(Protocol):
    """What is asked of a program."""

    @property
    def program_id(self) -> str:
        """Identity of the program."""

    @property
    def galois_elements(self) -> list[int]:
        """Automorphisms that the server applies."""


class SealKeys:
    """Parsed evaluation keys.

    Parameters
    ----------
    program : Program
        What they are for.
    message : bytes
        The evaluation keys that a client's ``generate_keys`` returned.
    context : object
        The context of the program's parameters, with an attribute ``seal_context``.
    n_more : int, default=0
        Blobs of the message after the two of all engines.

    Attributes
    ----------
    header : dict
        Identity of the keys and the program.
    context : object
        The context.
    relin_keys : seal.RelinKeys
        The relinearization keys, which products need.
    galois_keys : seal.GaloisKeys or None
        The Galois keys, which rotations need; None if the program has none.
    more : list of memoryview
        The other blobs.

    Raises
    ------
    KeyMismatchError
        If they belong to another program.
    ProtocolError
        If they are malformed, or lack a key that the program needs.
    """

    def __init__(self, program: KeyedProgram, message: bytes, context: Any, *, n_more: int = 0):
        self.header, blobs = unpack_message("evaluation_keys", message)
        check_identity("evaluation_keys", self.header, program_id=program.program_id)
        if len(blobs) != 2 + n_more:
            raise ProtocolError("The evaluation_keys are malformed.")
        self.context, self.more, self.galois_keys = context, blobs[2:], None
        with SealFile() as file:
            self.relin_keys = file.load(seal.RelinKeys(), context, blobs[0], "relinearization key")
            if program.galois_elements:
                self.galois_keys = file.load(seal.GaloisKeys(), context, blobs[1], "Galois keys")
        if self.galois_keys and not all(map(self.galois_keys.has_key, program.galois_elements)):
            raise ProtocolError("The evaluation keys lack Galois keys that the program needs.")
