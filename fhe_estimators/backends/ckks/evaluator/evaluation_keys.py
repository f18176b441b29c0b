"""Public evaluation keys as SEAL objects, and the context they live in (server side)."""

from __future__ import annotations

import tenseal.sealapi as seal

from ....exceptions import KeyMismatchError, ProtocolError
from ...messages import unpack_message
from .._context import CKKSContext
from ..program import CKKSProgram
from ..seal_file import SealFile


class PublicKeys:
    """Parsed evaluation keys.

    Parameters
    ----------
    program : CKKSProgram
    message : bytes
        From a client's ``generate_keys``.

    Attributes
    ----------
    key_id : str
        Ties them to the requests of the same client.
    context : CKKSContext
    relin_keys : seal.RelinKeys
    galois_keys : seal.GaloisKeys or None
        Only where the program needs them.
    """

    def __init__(self, program: CKKSProgram, message: bytes):
        header, blobs = unpack_message("evaluation_keys", message)
        if header.get("program_id") != program.program_id:
            raise KeyMismatchError("The evaluation keys were generated for another model (program_id differs).")
        if len(blobs) != 2 or not isinstance(header.get("key_id"), str):
            raise ProtocolError("The evaluation keys are malformed.")
        self.key_id: str = header["key_id"]
        self.context = CKKSContext(program.parameters)
        with SealFile() as file:
            self.relin_keys = file.load(seal.RelinKeys(), self.context, blobs[0], "relinearization key")
            self.galois_keys = None
            if program.galois_elements:
                self.galois_keys = file.load(seal.GaloisKeys(), self.context, blobs[1], "Galois keys")
