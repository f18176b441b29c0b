"""Evaluation keys of a client, and the public key to re-randomize with (server side)."""

from __future__ import annotations

import tenseal.sealapi as seal

from ...seal.file import SealFile
from ...seal.keys import SealKeys
from .._context import CKKSContext
from ..program import CKKSProgram


class PublicKeys(SealKeys):
    """Parsed evaluation keys.

    Parameters
    ----------
    program : CKKSProgram
    message : bytes
        The evaluation keys that a client's ``generate_keys`` returned.

    Attributes
    ----------
    public_key : seal.PublicKey
        For encryptions of zero.
    """

    context: CKKSContext

    def __init__(self, program: CKKSProgram, message: bytes):
        super().__init__(program, message, CKKSContext(program.parameters), n_more=1)
        with SealFile() as file:
            self.public_key = file.load(seal.PublicKey(), self.context, self.more[0], "public key")
