"""Checks of a worker's responses (client side).

After R. Freivalds, "Probabilistic machines can use less running time", IFIP Congress 1977. For a secret random matrix
R, the client keeps R and R W. A response B to the ciphertexts b is right only if ``B R^T = b (R W)^T``, which costs a
few multiplications a value instead of a row of W.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch

from ....exceptions import ProtocolError
from .._limbs import CIPHERTEXT_LIMBS, to_limbs
from .._randomness import Keystream, new_key, public_matrix
from ..parameters import CIPHERTEXT_BITS, KEY_BYTES, WORD_BITS, LWEParameters
from ..product_choice import choose_product

DEFAULT_VERIFY_BITS = 40
#: A wrong response that passes once in a million is the least that is worth the name of a check.
MIN_VERIFY_BITS = 20

_WORD_LIMBS = 4
#: Largest absolute value of the limb that responses of 16 bits leave out.
_LARGEST_REMAINDER = 128
#: An honest worker is refused with probability 2^-64, a vector and token: ln(2 * 2^64).
_REFUSAL_EXPONENT = 65 * math.log(2.0)
#: Columns of a hint that are checked at a time.
_CHUNK = 512


def check_verify_bits(verify_bits: Any) -> int:
    """The soundness asked for, in bits; a ValueError if it is no integer of at least `MIN_VERIFY_BITS`."""
    if not isinstance(verify_bits, Integral) or isinstance(verify_bits, bool) or verify_bits < MIN_VERIFY_BITS:
        raise ValueError(
            f"verify_bits={verify_bits!r} must be an integer of at least {MIN_VERIFY_BITS}: a wrong response passes "
            "with probability 2 ** -verify_bits. Use verify=False to check nothing."
        )
    return int(verify_bits)


class ProductCheck:
    """Secret check vectors of one matrix.

    A wrong response, whatever a worker makes of it, passes with probability at most ``2 ** -verify_bits`` a token. Of a
    response of 16 bits a value, wrong is what differs from the exact product by more than `largest_deviation`.

    Parameters
    ----------
    matrix : tensor of int8, shape (n_inputs, n_outputs)
        The right one: from the client's own copy of the model, when it splits it.
    verify_bits : int, default=40
        Number of vectors, at least 20.
    key : bytes, default=None
        32 secret random bytes that the vectors are expanded from; None for fresh ones.

    Notes
    -----
    A vector r has independent entries of {-1, 0, 1} with probabilities 1/4, 1/2, 1/4, the difference of two random
    bits. *Each vector finds a wrong response with probability 1/2 at least:* let D be the difference of a token's
    response and the right one, not zero modulo 2^24, and let 2^v, with v < 24, be the largest power of two that divides
    all its entries. ``r D = 0`` modulo 2^24 implies that ``r (D / 2^v)`` is even. Some entry of ``D / 2^v`` is odd;
    whatever the other entries of r are, the parity of its own entry, which is uniform and independent of them, makes
    the sum odd with probability 1/2. Only the parity of an entry counts, so the smallest integers of either parity do,
    and they keep ``R W`` so small that two limbs hold it.

    The vectors are independent of each other and of the response, so all of them miss D with probability at most
    ``2 ** -verify_bits``. The same holds for a hint, modulo 2^32 with v < 32. No vector is special: a single changed
    value is found with the same probability, as ``verify_bits`` independent parities.

    *Responses of 16 bits.* The lowest limbs L of the exact product are left out, and r must be secret, so nobody can
    tell the client r L: it accepts what is within a tolerance, and bounds what that can be.

    - *Right responses pass.* Entries of r are sub-Gaussian, ``E exp(s r_k) = cosh(s / 2)^2 <= exp(s^2 / 4)``, and
      ``|L_k| <= 128``, so ``|r L| > t`` with probability ``2 exp(-t^2 / (128^2 n))`` at most, for n outputs. The
      tolerance is the t of 2^-64.
    - *Wrong ones do not.* Let E be the difference of a token's response and the exact product, centred modulo 2^24. If
      an entry is more than 2 t from zero, whatever the other entries of r are, of its own values -1, 0 and 1 either
      only 0 or none but -1 and 1 can end within the tolerance: each with probability 1/2. Otherwise, if E is longer
      than 9 t, some of its entries make a part of length 9 t to ``sqrt(85) t``. By the theorem of Berry and Esseen
      (constant 0.56, I. Shevtsova, 2010), with entries of 2 t at most, the part's sum lies in a given interval of
      length 2 t with probability ``2 / sqrt(pi) / 9 + 2 * 0.56 * 2 sqrt(2) / 9 < 0.478``, and further than 2^23 - t
      from zero, where it could wrap around, with less than 0.001. So each vector finds E with probability 1/2 at least,
      and all of them miss it with ``2 ** -verify_bits``.

    A refusal ends the use of the vectors, so all that a worker ever learns of them is that it was not refused: what it
    sends is a fixed sequence, and the bounds hold for each response in it.

    References
    ----------
    I. Shevtsova, "An improvement of convergence rate estimates in the Lyapunov theorem", Doklady Mathematics 82, 2010.
    """

    def __init__(self, matrix: torch.Tensor, verify_bits: int = DEFAULT_VERIFY_BITS, key: bytes | None = None):
        self._make(matrix, check_verify_bits(verify_bits), key)

    @classmethod
    def insecure_of(cls, matrix: torch.Tensor, n_vectors: int) -> ProductCheck:
        """As few vectors as one likes: for tests that measure how often a forgery passes."""
        check = cls.__new__(cls)
        check._make(matrix, n_vectors, None)
        return check

    def _make(self, matrix: torch.Tensor, n_vectors: int, key: bytes | None) -> None:
        self._key = key or new_key()
        self._outputs = _vectors(self._key, matrix.shape[1], n_vectors).to(matrix.device)
        words = self._outputs.T.to(torch.int32).contiguous()
        self._inputs = _side_by_side(choose_product(matrix.device, n_vectors).of_words(words, matrix.T).T)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the check consists of, for the client's own storage: secret."""
        key = torch.frombuffer(bytearray(self._key), dtype=torch.uint8)
        return {"key": key, "inputs": self._inputs}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], n_outputs: int, verify_bits: int) -> ProductCheck:
        """From what `tensors` gave; `ProtocolError` if it is not that."""
        key, inputs = tensors.get("key"), tensors.get("inputs")
        if (
            key is None
            or inputs is None
            or (key.shape, key.dtype) != ((KEY_BYTES,), torch.uint8)
            or inputs.dtype != torch.int8
            or inputs.ndim != 2
            or inputs.shape[1] not in [n * verify_bits for n in range(1, _WORD_LIMBS + 1)]
        ):
            raise ProtocolError("The stored check vectors are malformed: split the model again.")
        check = cls.__new__(cls)
        check._key = key.numpy().tobytes()
        check._outputs = _vectors(check._key, n_outputs, check_verify_bits(verify_bits))
        check._inputs = inputs
        return check

    @property
    def verify_bits(self) -> int:
        """Soundness: minus the logarithm to base 2 of the probability that a wrong response passes."""
        return self._outputs.shape[1]

    @property
    def nbytes(self) -> int:
        """Memory that the check takes."""
        return self._outputs.nbytes + self._inputs.nbytes

    @property
    def tolerance(self) -> int:
        """What a vector times a rounded response may differ by from what it is with the exact product."""
        return math.ceil(_LARGEST_REMAINDER * math.sqrt(len(self._outputs) * _REFUSAL_EXPONENT))

    @property
    def largest_deviation(self) -> float:
        """Euclidean norm of the largest difference that passes for a rounded response, in units of 2^-24 of q."""
        return 9.0 * self.tolerance

    def accepts(self, ciphertexts: torch.Tensor, response: torch.Tensor) -> bool:
        """Whether a response (n_tokens, 3, n_outputs) is the product of ciphertexts (n_tokens, 3, n_inputs).

        Of a response of the upper two limbs, (n_tokens, 2, n_outputs), whether it is within the tolerance.
        """
        multiply = choose_product(self._inputs.device, len(ciphertexts)).of_ciphertexts
        missing = CIPHERTEXT_LIMBS - response.shape[1]
        exact = response if not missing else torch.nn.functional.pad(response, (0, 0, missing, 0))
        difference = self._difference(multiply, ciphertexts, exact) << (WORD_BITS - CIPHERTEXT_BITS)
        if not missing:
            return not bool(difference.any())
        largest = int(difference.to(torch.int64).abs().max()) >> (WORD_BITS - CIPHERTEXT_BITS)
        return largest <= self.tolerance

    def accepts_hint(self, hint: torch.Tensor, seed: bytes, parameters: LWEParameters) -> bool:
        """Whether a hint (n_outputs, rank, ring_degree) is the matrix times the public one."""
        public = torch.from_numpy(public_matrix(seed, parameters, 0, len(self._inputs)).view(np.int32))
        chunks = zip(public.flatten(1).split(_CHUNK, dim=1), hint.flatten(1).split(_CHUNK, dim=1), strict=True)
        multiply = choose_product(self._inputs.device, _CHUNK).of_words
        return not any(bool(self._difference(multiply, left.T, right.T).any()) for left, right in chunks)

    def _difference(
        self, multiply: Callable[..., torch.Tensor], inputs: torch.Tensor, outputs: torch.Tensor
    ) -> torch.Tensor:
        """What rows miss the check by: int32, shape (n_samples, n_vectors), modulo 2^32."""
        device = self._inputs.device
        # Words of 32 bits wrap as the integers modulo 2^32 and 2^24 do: nothing is reduced on the way.
        by_limb = multiply(inputs.to(device), self._inputs).split(self.verify_bits, dim=1)
        expected = sum(part << (8 * limb) for limb, part in enumerate(by_limb))
        return expected - multiply(outputs.to(device), self._outputs)

    def __getstate__(self) -> None:
        raise TypeError("Check vectors are secret and cannot be pickled or copied.")


def _vectors(key: bytes, n_outputs: int, n_vectors: int) -> torch.Tensor:
    """Differences of random bits, int8, shape (n_outputs, n_vectors)."""
    drawn = torch.from_numpy(Keystream(key).words((n_outputs, n_vectors), np.uint8))
    return (drawn & 1).to(torch.int8) - ((drawn >> 1) & 1).to(torch.int8)


def _side_by_side(integers: torch.Tensor) -> torch.Tensor:
    """Integers (n_rows, n_vectors) in as few limbs as hold them, int8, shape (n_samples, n_limbs * n_vectors)."""
    largest = int(integers.abs().max())
    n_limbs = next(n for n in range(1, _WORD_LIMBS + 1) if largest <= 127 * 256 ** (n - 1) or n == _WORD_LIMBS)
    return to_limbs(integers, n_limbs).flatten(1).contiguous()
