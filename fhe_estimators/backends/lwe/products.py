"""Integers times matrices of int8, exact modulo 2^32, in several ways; `product_choice` measures which is fastest.

Used by workers (weights times ciphertexts, hints) and by clients (checks of a worker's responses); no secrets here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import torch

from ._limbs import CIPHERTEXT_LIMBS, compiled_loops, to_ciphertexts, to_limbs, to_words
from .parameters import WORD_BITS

_WORD_LIMBS = WORD_BITS // 8
#: Sums of so many products of limbs and weights, at most 2^14 each, are exact in float32, and of words in float64.
_FLOAT32_TERMS = 1 << (24 - 14)
_FLOAT64_TERMS = 1 << (53 - (WORD_BITS - 1) - 7)
#: Weights that are converted to floats at a time: 8 MiB of float64, whatever the layer's size.
_CONVERTED_WEIGHTS = 1 << 20


class ExactProduct(ABC):
    """One way to multiply. Matrices are tensors of int8, shape (n_inner, n_columns), contiguous or transposed."""

    name: str

    def available(self, device: torch.device) -> bool:
        """Whether a device and the installed libraries can do it."""
        return True

    @abstractmethod
    def of_words(self, words: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """Products of words of int32, shape (n_samples, n_inner), modulo 2^32: int32, shape (n_samples, n_columns)."""

    def of_ciphertexts(self, ciphertexts: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """Products of integers in three limbs of int8, shape (n_tokens, 3, n_inner), as of words."""
        return self.of_words(to_words(ciphertexts), matrix)

    def ciphertexts(self, ciphertexts: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        """The same modulo 2^24 and in limbs again: int8, shape (n_tokens, 3, n_columns)."""
        return to_ciphertexts(self.of_ciphertexts(ciphertexts, matrix))


class Int8Product(ExactProduct):
    """A product of int8 for each limb, added up in int32: for processors with 8-bit dot products, and for GPUs.

    Sums of limbs may wrap modulo 2^32, which changes nothing.
    """

    name = "int8"

    def of_words(self, words, matrix):
        return _add_limbs(self._of_limbs(to_limbs(words, _WORD_LIMBS), matrix))

    def of_ciphertexts(self, ciphertexts, matrix):
        return _add_limbs(self._of_limbs(ciphertexts, matrix))

    def ciphertexts(self, ciphertexts, matrix):
        products = self._of_limbs(ciphertexts, matrix)
        loops = compiled_loops(products.device)
        if loops is None:
            return to_limbs(_add_limbs(products))
        result = torch.empty(products.shape, dtype=torch.int8)
        loops.combine_limbs(products.numpy(), result.numpy())
        return result

    def _of_limbs(self, limbs: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        return _int8_product(limbs.flatten(0, 1), matrix).unflatten(0, limbs.shape[:2])


class Int16Product(ExactProduct):
    """Two products of int16, compiled (`_int16_loops`): for processors with vectors, but without 8-bit dot products."""

    name = "int16"

    def available(self, device):
        return compiled_loops(device, "_int16_loops") is not None

    def of_words(self, words, matrix):
        loops = _int16_loops(words.device)
        halves = loops.halves(*words.shape)
        loops.split_words(words.contiguous().numpy(), halves)
        return self._words(loops, halves, len(words), matrix)

    def of_ciphertexts(self, ciphertexts, matrix):
        loops = _int16_loops(ciphertexts.device)
        return self._words(loops, self._halves(loops, ciphertexts), len(ciphertexts), matrix)

    def ciphertexts(self, ciphertexts, matrix):
        loops = _int16_loops(ciphertexts.device)
        result = torch.empty((len(ciphertexts), CIPHERTEXT_LIMBS, matrix.shape[1]), dtype=torch.int8)
        layout = _layout(loops, matrix, len(ciphertexts))
        loops.multiply_ciphertexts(self._halves(loops, ciphertexts), *layout, result.numpy())
        return result

    def _halves(self, loops, ciphertexts):
        halves = loops.halves(len(ciphertexts), ciphertexts.shape[2])
        loops.split_limbs(ciphertexts.contiguous().numpy(), halves)
        return halves

    def _words(self, loops, halves, n_rows, matrix):
        words = torch.empty((n_rows, matrix.shape[1]), dtype=torch.int32)
        loops.multiply_words(halves, *_layout(loops, matrix, n_rows), words.numpy().view(np.uint32))
        return words


class Float64Product(ExactProduct):
    """One product of float64: sums below 2^53 are exact, those of words of 32 bits up to 32,768 terms at a time."""

    name = "float64"

    def of_words(self, words, matrix):
        result = torch.zeros((len(words), matrix.shape[1]), dtype=torch.int32, device=words.device)
        for inner in _blocks(words.shape[1], _FLOAT64_TERMS):
            values = words[:, inner].to(torch.float64)
            for columns in _column_blocks(matrix[inner]):
                products = values @ matrix[inner, columns].to(torch.float64)
                result[:, columns] += products.to(torch.int64).to(torch.int32)
        return result


class Float32Product(ExactProduct):
    """A product of float32 for each limb: sums of 1,024 terms are exact; for devices whose float64 is slow."""

    name = "float32"

    def of_words(self, words, matrix):
        return self._of_limbs(to_limbs(words, _WORD_LIMBS), matrix)

    def of_ciphertexts(self, ciphertexts, matrix):
        return self._of_limbs(ciphertexts, matrix)

    def _of_limbs(self, limbs: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
        result = torch.zeros((len(limbs), matrix.shape[1]), dtype=torch.int32, device=limbs.device)
        for inner in _blocks(limbs.shape[2], _FLOAT32_TERMS):
            values = limbs[:, :, inner].to(torch.float32).flatten(0, 1)
            for columns in _column_blocks(matrix[inner]):
                products = values @ matrix[inner, columns].to(torch.float32)
                result[:, columns] += _add_limbs(products.to(torch.int32).unflatten(0, limbs.shape[:2]))
        return result


#: In the order in which they are tried.
PRODUCTS: dict[str, ExactProduct] = {
    product.name: product for product in (Int8Product(), Int16Product(), Float64Product(), Float32Product())
}


def _int8_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    if left.device.type != "cuda":
        return torch._int_mm(left, right)
    # cuBLAS wants multiples of 8, and more than 16 rows.
    rows, columns = left.shape[0], right.shape[1]
    row_padding, inner_padding, column_padding = max(-rows % 8, 24 - rows), -left.shape[1] % 8, -columns % 8
    if row_padding > 0 or inner_padding:
        left = torch.nn.functional.pad(left, (0, inner_padding, 0, max(row_padding, 0)))
    if inner_padding or column_padding:
        right = torch.nn.functional.pad(right, (0, column_padding, 0, inner_padding))
    return torch._int_mm(left, right)[:rows, :columns]


def _int16_loops(device: torch.device) -> ModuleType:
    loops = compiled_loops(device, "_int16_loops")
    assert loops is not None
    return loops


def _layout(loops: ModuleType, matrix: torch.Tensor, n_tokens: int) -> tuple:
    """A matrix as the compiled loops take it, whether it is transposed, and the tokens of a thread at a time."""
    transposed = matrix.stride(0) == 1 and matrix.shape[0] > 1
    columns = -(-matrix.shape[1] // loops.BLOCK_COLUMNS)
    # Packing the matrix is repeated for every block of tokens: blocks are large, but leave every thread some.
    blocks = max(1, -(-4 * torch.get_num_threads() // columns))
    tokens = max(-(-n_tokens // blocks), 32)
    tokens = -(-tokens // loops.TILE_TOKENS) * loops.TILE_TOKENS
    return (matrix.T if transposed else matrix).contiguous().numpy(), transposed, tokens


def _add_limbs(products: torch.Tensor) -> torch.Tensor:
    """Words of int32, shape (n_samples, n_columns), from products of limbs (int32), modulo 2^32."""
    return sum(products[:, limb] << (8 * limb) for limb in range(products.shape[1]))  # type: ignore[return-value]


def _blocks(length: int, size: int) -> Iterator[slice]:
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def _column_blocks(matrix: torch.Tensor) -> Iterator[slice]:
    return _blocks(matrix.shape[1], max(1, _CONVERTED_WEIGHTS // len(matrix)))
