"""Responses that hide how they were computed (server side; see `circuit.flooding`)."""

from __future__ import annotations

import tenseal.sealapi as seal

from ..circuit.flooding import flooding_slots
from ..circuit.levels import OUTPUT_LEVEL
from ..program import CKKSProgram
from .evaluation_keys import PublicKeys


class Rerandomizer:
    """Adds encryptions of zero and noise to responses. Costs no level; needs the client's public key.

    Parameters
    ----------
    program : CKKSProgram
        For its predicted noise.
    keys : PublicKeys
        Of the client.
    """

    def __init__(self, program: CKKSProgram, keys: PublicKeys):
        self.program = program
        self.context = keys.context
        self.encryptor = seal.Encryptor(keys.context.seal_context, keys.public_key)
        self.encoder = seal.CKKSEncoder(keys.context.seal_context)
        self.evaluator = seal.Evaluator(keys.context.seal_context)

    def apply(self, responses: list[seal.Ciphertext], expansion_log2: int) -> None:
        """Re-randomize the responses of a batch, in place."""
        parameters, error_std = self.program.parameters, self.program.predicted_error_std()
        scale = self.context.bit_scale(OUTPUT_LEVEL) ** 2 * (2 if self.program.packing.uses_pairs else 1)
        for response in responses:
            level, zero = response.parms_id(), seal.Ciphertext()
            self.encryptor.encrypt_zero(level, zero)
            response.scale = zero.scale = scale
            self.evaluator.add_inplace(response, zero)
            for slots in flooding_slots(
                error_std, parameters.poly_modulus_degree, expansion_log2, parameters.score_bits
            ):
                plain = seal.Plaintext()
                self.encoder.encode(slots.tolist(), level, scale, plain)
                self.evaluator.add_plain_inplace(response, plain)
