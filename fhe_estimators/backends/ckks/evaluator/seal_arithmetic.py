"""`Arithmetic` on SEAL ciphertexts. Server side: needs public evaluation keys only."""

from __future__ import annotations

import tenseal.sealapi as seal

from ..circuit.slots import imaginary_units, slot_roots
from .arithmetic import Arithmetic, Encrypted
from .evaluation_keys import PublicKeys


class SEALArithmetic(Arithmetic):
    """Operations under a client's keys.

    SEAL keeps the memory of ciphertexts that shrink in place. Results that stay are therefore written to fresh ones.

    Parameters
    ----------
    keys : PublicKeys
    """

    def __init__(self, keys: PublicKeys):
        context = keys.context
        super().__init__(context.scales, context.primes)
        self.keys = keys
        self.context = context
        self.evaluator = seal.Evaluator(context.seal_context)
        self.encoder = seal.CKKSEncoder(context.seal_context)
        self._plains: dict[tuple[int, int], seal.Plaintext] = {}

    def made(self, ciphertext: seal.Ciphertext, level: int, size: int, scale: float) -> Encrypted:
        ciphertext.scale = scale  # SEAL compares the scales of what it adds: the exact ones are ours
        return super().made(ciphertext, level, size, scale)

    def _multiply(self, a: Encrypted, b: Encrypted) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.multiply(a.ciphertext, b.ciphertext, result)
        return result

    def _relinearize(self, a: Encrypted) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.relinearize(a.ciphertext, self.keys.relin_keys, result)
        return self._trimmed(result)

    def _rescale(self, a: Encrypted) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.rescale_to_next(a.ciphertext, result)
        return result

    def _drop(self, a: Encrypted, level: int) -> seal.Ciphertext:
        current = a.ciphertext
        for _ in range(a.level - level):
            current, before = seal.Ciphertext(), current
            self.evaluator.mod_switch_to_next(before, current)
        return current

    def _copy(self, a: Encrypted) -> seal.Ciphertext:
        return self._trimmed(a.ciphertext)

    def _trimmed(self, ciphertext: seal.Ciphertext) -> seal.Ciphertext:
        copy = seal.Ciphertext()
        self.evaluator.mod_switch_to(ciphertext, ciphertext.parms_id(), copy)
        return copy

    def _negate(self, a: Encrypted) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.negate(a.ciphertext, result)
        return result

    def _add(self, a: Encrypted, b: Encrypted, sign: int) -> None:
        (self.evaluator.add_inplace if sign > 0 else self.evaluator.sub_inplace)(a.ciphertext, b.ciphertext)

    def _multiple(self, a: Encrypted, factor: float) -> seal.Ciphertext:
        plain, result = seal.Plaintext(), seal.Ciphertext()
        self.encoder.encode(float(factor), self.context.level_ids[a.level], 1.0, plain)
        self.evaluator.multiply_plain(a.ciphertext, plain, result)
        return result

    def _add_constant(self, a: Encrypted, value: float) -> None:
        plain = seal.Plaintext()
        self.encoder.encode(float(value), self.context.level_ids[a.level], a.scale, plain)
        self.evaluator.add_plain_inplace(a.ciphertext, plain)

    def _turn(self, a: Encrypted) -> None:
        degree = self.context.parameters.poly_modulus_degree
        self.evaluator.multiply_plain_inplace(a.ciphertext, self._power(-degree // 2, a.level))

    def _conjugate(self, a: Encrypted) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.complex_conjugate(a.ciphertext, self.keys.galois_keys, result)
        return result

    def _automorphism(self, a: Encrypted, element: int) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.apply_galois(a.ciphertext, element, self.keys.galois_keys, result)
        return result

    def _shift(self, a: Encrypted, exponent: int) -> None:
        self.evaluator.multiply_plain_inplace(a.ciphertext, self._power(-exponent, a.level))

    def _power(self, exponent: int, level: int) -> seal.Plaintext:
        """``X ** exponent`` at a level, at scale 1 (its coefficients are integers); made once."""
        if (exponent, level) not in self._plains:
            degree, plain = self.context.parameters.poly_modulus_degree, seal.Plaintext()
            exact = -imaginary_units(degree) if exponent == -degree // 2 else slot_roots(degree) ** exponent
            self.encoder.encode(exact.tolist(), self.context.level_ids[level], 1.0, plain)
            self._plains[exponent, level] = plain
        return self._plains[exponent, level]
