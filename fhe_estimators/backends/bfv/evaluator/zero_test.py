"""The zero test on ciphertexts (server side)."""

from __future__ import annotations

import tenseal.sealapi as seal

from ..parameters import PLAIN_MODULUS
from ..program import BFVProgram
from .evaluation_keys import PublicKeys


class ZeroTestEvaluator:
    """Indicators of the leaves whose cost is 0, up to the constant factor of `ZeroTest.factor`.

    Parameters
    ----------
    program : BFVProgram
        The program, whose largest cost decides about the polynomial.
    keys : PublicKeys
        The client's evaluation keys; each product takes a relinearization.
    """

    def __init__(self, program: BFVProgram, keys: PublicKeys):
        self.zero_test = program.zero_test
        self.keys = keys
        self.evaluator = seal.Evaluator(keys.context.seal_context)

    def indicators(self, costs: seal.Ciphertext) -> seal.Ciphertext:
        """``factor ** -1`` where the cost is 0, and 0 where it is another number up to the largest."""
        if self.zero_test.is_linear:
            self.evaluator.negate_inplace(costs)
            return self._plus(costs, 1)
        shifted = self._plus(costs, -(self.zero_test.even + 1))
        common = self._product(costs, shifted)
        factors = [self._plus(common, constant) for constant in self.zero_test.constants]
        while len(factors) > 1:
            pairs = zip(factors[::2], factors[1::2], strict=False)
            factors = [self._product(a, b) for a, b in pairs] + factors[len(factors) - len(factors) % 2 :]
        return factors[0]

    def _plus(self, ciphertext: seal.Ciphertext, constant: int) -> seal.Ciphertext:
        result, plain = seal.Ciphertext(), seal.Plaintext(f"{constant % PLAIN_MODULUS:X}")
        self.evaluator.add_plain(ciphertext, plain, result)
        return result

    def _product(self, a: seal.Ciphertext, b: seal.Ciphertext) -> seal.Ciphertext:
        result = seal.Ciphertext()
        self.evaluator.multiply(a, b, result)
        self.evaluator.relinearize_inplace(result, self.keys.relin_keys)
        return result
