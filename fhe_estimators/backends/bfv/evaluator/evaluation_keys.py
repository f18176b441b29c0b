"""Public evaluation keys as SEAL objects, and the context they live in (server side)."""

from __future__ import annotations

from typing import Any

import numpy as np
import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ...messages import unpack_message
from ...seal_file import SealFile
from .._context import BFVContext
from ..program import BFVProgram


class PublicKeys:
    """Parsed evaluation keys.

    Parameters
    ----------
    program : BFVProgram
        What they are for.
    message : bytes
        The evaluation keys that a client's ``generate_keys`` returned.

    Attributes
    ----------
    header : dict
        Identity of the keys and the program.
    context : BFVContext
        The context of the program's parameters.
    relin_keys : seal.RelinKeys
        The relinearization keys, which products need.
    galois_keys : seal.GaloisKeys
        The Galois keys, which rotations need.
    """

    def __init__(self, program: BFVProgram, message: bytes):
        header, blobs = unpack_message("evaluation_keys", message)
        if len(blobs) != 2:
            raise ProtocolError("The evaluation keys are malformed.")
        self.header: dict[str, Any] = header
        self.context = BFVContext(program.parameters)
        with SealFile() as file:
            self.relin_keys = file.load(seal.RelinKeys(), self.context, blobs[0], "relinearization key")
            self.galois_keys = file.load(seal.GaloisKeys(), self.context, blobs[1], "Galois keys")
        self._evaluator = seal.Evaluator(self.context.seal_context)
        if not all(self.galois_keys.has_key(element) for element in program.galois_elements):
            raise ProtocolError("The evaluation keys lack Galois keys that the program needs.")

    def encode_ntt(self, slots: np.ndarray) -> seal.Plaintext:
        """A plaintext in NTT form at the level of fresh ciphertexts, with numbers from 0 to p - 1 in its slots."""
        plain = self.context.encode(slots)
        self._evaluator.transform_to_ntt_inplace(plain, self.context.first_id)
        return plain
