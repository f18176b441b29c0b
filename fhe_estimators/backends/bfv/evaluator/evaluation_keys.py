"""Evaluation keys of a client, and plaintexts in their context (server side)."""

from __future__ import annotations

import numpy as np
import tenseal.sealapi as seal

from ...seal.keys import SealKeys
from .._context import BFVContext
from ..program import BFVProgram


class PublicKeys(SealKeys):
    """Parsed evaluation keys.

    Parameters
    ----------
    program : BFVProgram
        What they are for.
    message : bytes
        The evaluation keys that a client's ``generate_keys`` returned.
    """

    context: BFVContext

    def __init__(self, program: BFVProgram, message: bytes):
        super().__init__(program, message, BFVContext(program.parameters))
        self._evaluator = seal.Evaluator(self.context.seal_context)

    def encode_ntt(self, slots: np.ndarray) -> seal.Plaintext:
        """A plaintext in NTT form at the level of fresh ciphertexts, with numbers from 0 to p - 1 in its slots."""
        plain = self.context.encode(slots)
        self._evaluator.transform_to_ntt_inplace(plain, self.context.first_id)
        return plain
