"""Public evaluation keys as SEAL objects, and the context they live in (server side)."""

from __future__ import annotations

import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ...messages import check_identity, unpack_message
from ...seal_file import SealFile
from .._context import CKKSContext
from ..program import CKKSProgram


class PublicKeys:
    """Parsed evaluation keys.

    Parameters
    ----------
    program : CKKSProgram
    message : bytes
        The evaluation keys that a client's ``generate_keys`` returned.

    Attributes
    ----------
    header : dict
        The header of the message.
    context : CKKSContext
    relin_keys : seal.RelinKeys
    galois_keys : seal.GaloisKeys or None
        Only where the program needs them.
    public_key : seal.PublicKey
        For encryptions of zero.
    """

    def __init__(self, program: CKKSProgram, message: bytes):
        self.header, blobs = unpack_message("evaluation_keys", message)
        check_identity("evaluation_keys", self.header, program_id=program.program_id)
        if len(blobs) != 3:
            raise ProtocolError("The evaluation_keys are malformed.")
        self.context = CKKSContext(program.parameters)
        with SealFile() as file:
            self.relin_keys = file.load(seal.RelinKeys(), self.context, blobs[0], "relinearization key")
            self.galois_keys = None
            if program.galois_elements:
                self.galois_keys = file.load(seal.GaloisKeys(), self.context, blobs[1], "Galois keys")
            self.public_key = file.load(seal.PublicKey(), self.context, blobs[2], "public key")
