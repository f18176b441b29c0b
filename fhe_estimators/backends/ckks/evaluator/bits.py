"""The encrypted bits of one batch at every level and scale the circuit asks for (server side)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tenseal.sealapi as seal

from .._context import CKKSContext


@dataclass(frozen=True)
class EncryptedBit:
    """A bit in the slots of a ciphertext: in their real parts or, of a pair, in the imaginary ones.

    The other half of a pair is in the other parts; what it contributes never reaches a real part
    (see `circuit.packing`).
    """

    ciphertext: seal.Ciphertext
    level: int
    imaginary: bool = False


class EncryptedBits:
    """Derived copies of bits, each made once.

    Parameters
    ----------
    context : CKKSContext
    made : mapping of int to EncryptedBit
        The bit of each comparison at the level and scale it was made at.
    """

    def __init__(self, context: CKKSContext, made: Mapping[int, EncryptedBit]):
        self.context = context
        self.made = made
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)
        self._derived: dict[tuple[int, int, bool], EncryptedBit] = {}

    def at_level(self, comparison: int, level: int) -> EncryptedBit:
        """A bit at a level, at the scale it was made at: drops primes, free of noise."""
        bit = self.made[comparison]
        if bit.level == level:
            return bit
        key = comparison, level, False
        if key not in self._derived:
            dropped = seal.Ciphertext()
            self.evaluator.mod_switch_to(bit.ciphertext, self.context.level_ids[level], dropped)
            self._derived[key] = EncryptedBit(dropped, level, bit.imaginary)
        return self._derived[key]

    def at_scale(self, comparison: int, level: int) -> EncryptedBit:
        """A bit at a level and the scale of factors there: a plain multiplication and a rescaling if it has another."""
        bit, scale = self.made[comparison], self.context.bit_scale(level)
        if bit.ciphertext.scale == scale:
            return self.at_level(comparison, level)
        key = comparison, level, True
        if key not in self._derived:
            plain, scaled = seal.Plaintext(), seal.Ciphertext()
            factor = round(scale * self.context.primes[bit.level] / bit.ciphertext.scale)
            self.encoder.encode(float(factor), self.context.level_ids[bit.level], 1.0, plain)
            self.evaluator.multiply_plain(bit.ciphertext, plain, scaled)
            self.evaluator.rescale_to_next_inplace(scaled)
            scaled.scale = scale
            self.evaluator.mod_switch_to_inplace(scaled, self.context.level_ids[level])
            self._derived[key] = EncryptedBit(scaled, level, bit.imaginary)
        return self._derived[key]
