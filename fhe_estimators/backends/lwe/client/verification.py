"""Checks of a worker's responses (client side).

After R. Freivalds, "Probabilistic machines can use less running time", IFIP Congress 1977. For a secret random matrix
R, the client keeps R and R W. A response B to the ciphertexts b is right only if ``B R^T = b (R W)^T``, which costs a
few multiplications a value instead of a row of W.
"""

from __future__ import annotations

import numpy as np
import torch

from .._limbs import from_limbs, to_limbs
from .._product_choice import choose_product
from .._randomness import Keystream, new_key, public_matrix
from ..parameters import CIPHERTEXT_BITS, WORD_BITS, LWEParameters

_LIMBS = 4
#: Columns of a hint that are checked at a time.
_CHUNK = 512


class ProductCheck:
    """Secret check vectors of one matrix.

    A wrong response, whatever a worker makes of it, passes with probability at most ``2 ** (1 - n_checks)`` a token;
    a response with a single wrong value never passes.

    Parameters
    ----------
    matrix : tensor of int8, shape (n_inputs, n_outputs)
        The right one: from the client's own copy of the model, when it splits it.
    n_checks : int
    key : bytes, default=None
        32 secret random bytes; None for fresh ones.

    Notes
    -----
    Differences modulo a power of two may be multiples of 2^23, which an even factor hides: each vector of uniform
    integers catches a fixed wrong response with probability 1/2 at least. The first vector is odd throughout, so that
    any change of one value shows in it, and is not counted otherwise.
    """

    def __init__(self, matrix: torch.Tensor, n_checks: int, key: bytes | None = None):
        words = Keystream(key or new_key()).words((n_checks, matrix.shape[1]), np.uint32)
        words[0] |= 1
        outputs = torch.from_numpy(words.view(np.int32)).to(matrix.device)
        inputs = choose_product(matrix.device, n_checks).of_words(outputs, matrix.T)
        self._outputs = _side_by_side(to_limbs(outputs, _LIMBS))
        self._inputs = _side_by_side(to_limbs(inputs, _LIMBS))

    def tensors(self) -> dict[str, torch.Tensor]:
        """What the check consists of, for the client's own storage: secret."""
        return {"outputs": self._outputs, "inputs": self._inputs}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor]) -> ProductCheck:
        """From what `tensors` gave."""
        check = cls.__new__(cls)
        check._outputs, check._inputs = tensors["outputs"], tensors["inputs"]
        return check

    @property
    def nbytes(self) -> int:
        """Memory that the check takes."""
        return self._outputs.nbytes + self._inputs.nbytes

    def accepts(self, ciphertexts: torch.Tensor, response: torch.Tensor) -> bool:
        """Whether a response (n_tokens, 3, n_outputs) is the product of ciphertexts (n_tokens, 3, n_inputs)."""
        difference = _inner_products(ciphertexts, self._inputs) - _inner_products(response, self._outputs)
        return not bool((difference & (2**CIPHERTEXT_BITS - 1)).any())

    def accepts_hint(self, hint: torch.Tensor, seed: bytes, parameters: LWEParameters) -> bool:
        """Whether a hint (n_outputs, rank, ring_degree) is the matrix times the public one."""
        public = torch.from_numpy(public_matrix(seed, parameters, 0, len(self._inputs)).view(np.int32))
        for left, right in zip(
            public.flatten(1).split(_CHUNK, dim=1), hint.flatten(1).split(_CHUNK, dim=1), strict=True
        ):
            expected = _of_words(left.T, self._inputs)
            if ((_of_words(right.T, self._outputs) - expected) & (2**WORD_BITS - 1)).any():
                return False
        return True


def _side_by_side(limbs: torch.Tensor) -> torch.Tensor:
    """Limbs (n_vectors, n_limbs, n_features) as a matrix of int8, shape (n_features, n_vectors * n_limbs)."""
    return limbs.flatten(0, 1).T.contiguous()


def _inner_products(ciphertexts: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Of tokens and vectors, shape (n_tokens, n_vectors), modulo 2^24 at least."""
    ciphertexts = ciphertexts.to(vectors.device)
    return _join_limbs(choose_product(vectors.device, len(ciphertexts)).of_ciphertexts(ciphertexts, vectors))


def _of_words(words: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Inner products of words of 32 bits and vectors, modulo 2^32 at least."""
    words = words.to(vectors.device)
    return _join_limbs(choose_product(vectors.device, len(words)).of_words(words, vectors))


def _join_limbs(products: torch.Tensor) -> torch.Tensor:
    """Products with vectors from those with the limbs of vectors, side by side."""
    return from_limbs(products.unflatten(1, (-1, _LIMBS)).transpose(1, 2))
