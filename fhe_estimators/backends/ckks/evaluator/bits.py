"""The encrypted bits of one batch at every level and scale the circuit asks for (server side).

A bit is made when it is first asked for, and given up after its last use; so are its copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..circuit.uses import BitUse
from .arithmetic import Arithmetic, Encrypted


@dataclass(frozen=True)
class EncryptedBit:
    """A bit in the slots of a ciphertext: in their real parts or, of a pair, in the imaginary ones.

    The other half of a pair is in the other parts; what it contributes never reaches a real part
    (see `circuit.packing`).
    """

    encrypted: Encrypted
    imaginary: bool = False


class EncryptedBits:
    """Bits of comparisons and derived copies of them, each made once.

    Parameters
    ----------
    arithmetic : Arithmetic
    make : callable
        From a comparison to the bits that are made on the way to it, its own among them; each bit is made once.
    uses : Counter of BitUse
        How often each copy will be asked for.
    """

    def __init__(
        self,
        arithmetic: Arithmetic,
        make: Callable[[int], dict[int, EncryptedBit]],
        uses: Counter[BitUse],
    ):
        self.arithmetic = arithmetic
        self._make = make
        self._uses_left = Counter(uses)
        self._copies_left = Counter(use.comparison for use in uses)
        self._made: dict[int, EncryptedBit] = {}
        self._copies: dict[BitUse, EncryptedBit] = {}

    def __len__(self) -> int:
        """Bits and copies in memory."""
        return len(self._made) + len(self._copies)

    def use(self, use: BitUse) -> EncryptedBit:
        """A bit at a level: a rescaling at most. Not to be changed.

        At any scale if the use is not exact, which takes no noise and only drops primes; else at that of factors.
        """
        copy = self._copies.pop(use, None)
        if copy is None:
            bit = self._bit(use.comparison)
            copy = EncryptedBit(self._copy(bit.encrypted, use), bit.imaginary)
            self._copies_left[use.comparison] -= 1
            if not self._copies_left[use.comparison]:
                del self._made[use.comparison]
        self._uses_left[use] -= 1
        if self._uses_left[use]:
            self._copies[use] = copy
        return copy

    def _bit(self, comparison: int) -> EncryptedBit:
        if comparison not in self._made:
            self._made.update((made, bit) for made, bit in self._make(comparison).items() if self._copies_left[made])
        return self._made[comparison]

    def _copy(self, bit: Encrypted, use: BitUse) -> Encrypted:
        scale = self.arithmetic.scales[use.level]
        if not use.exact or bit.scale == scale:
            return self.arithmetic.drop(bit, use.level)
        scaled = self.arithmetic.multiple(bit, 1.0, scale * self.arithmetic.primes[bit.level])
        return self.arithmetic.drop(self.arithmetic.rescale(scaled, scale), use.level)
