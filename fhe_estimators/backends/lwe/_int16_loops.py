"""Integers times matrices of int8 in 16-bit multiplications, for processors without 8-bit dot products (needs numba).

An integer modulo 2^32 is two signed halves of 16 bits, so a product is two of int16 by int16 that are added up in
int32: everything wraps modulo 2^32, and nothing else is lost, however wide the matrix is. With 256-bit vectors one
instruction multiplies sixteen pairs and adds neighbours (``vpmaddwd``), twice what float32 does, so the two halves
take little longer than one float32 product. Blocking is that of K. Goto and R. van de Geijn, "Anatomy of
high-performance matrix multiplication", ACM Transactions on Mathematical Software 34, 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

from ._limb_loops import LOOP_OPTIONS, store_limbs

#: Tokens and outputs that the innermost loop keeps in registers: 3 tokens are 6 rows of halves.
TILE_TOKENS = 3
_TILE_ROWS = 2 * TILE_TOKENS
_LANES = 8
_TILE_VECTORS = 2
_TILE_COLUMNS = _LANES * _TILE_VECTORS
#: Inner features and outputs that are packed at a time: a panel stays in the first-level cache, a block in the second.
_BLOCK_INNER = 512
BLOCK_COLUMNS = 6 * _TILE_COLUMNS
_BLOCK_ROWS = 16 * _TILE_ROWS
#: Added to the length of a row, which would else often be a power of two, all of whose rows fall on the same cache set.
_ROW_PADDING = 32


@intrinsic
def _multiply_tile(typing_context, rows, row_bytes, panel, sums, sum_bytes, n_pairs):
    """Add the product of a tile to sums, all in registers; arguments are addresses, strides and the number of pairs.

    LLVM keeps small arrays of the loops' language in memory, so the tile is written in its own.
    """

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        _generate_tile(builder, *arguments)
        return context.get_dummy_value()

    return types.void(*[types.intp] * 6), generate


_WORD, _ADDRESS = ir.IntType(32), ir.IntType(64)
_SUMS = ir.VectorType(_WORD, _LANES)
_PAIRS = ir.VectorType(ir.IntType(16), 2 * _LANES)
_WIDE = ir.VectorType(_WORD, 2 * _LANES)


def _generate_tile(builder, rows, row_bytes, panel, sums, sum_bytes, n_pairs):
    places = [
        _pointer(builder, sums, _offset(builder, r, sum_bytes, 4 * _LANES * v), _SUMS)
        for r in range(_TILE_ROWS)
        for v in range(_TILE_VECTORS)
    ]
    before, loop, after = builder.block, builder.append_basic_block("pairs"), builder.append_basic_block("stored")
    row_starts = [builder.add(rows, _offset(builder, r, row_bytes, 0)) for r in range(_TILE_ROWS)]
    started = [builder.load(place, align=4) for place in places]
    builder.branch(loop)

    builder.position_at_end(loop)
    pair, held = builder.phi(_ADDRESS), [builder.phi(_SUMS) for _ in places]
    summed = _generate_pair(builder, row_starts, panel, pair, held)
    following = builder.add(pair, _ADDRESS(1))
    for phi, first, next_one in zip([pair, *held], [_ADDRESS(0), *started], [following, *summed], strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(next_one, loop)
    builder.cbranch(builder.icmp_signed("<", following, n_pairs), loop, after)

    builder.position_at_end(after)
    for place, result in zip(places, summed, strict=True):
        builder.store(result, place, align=4)


def _generate_pair(builder, row_starts, panel, pair, held):
    """Sums after one more pair of inner features."""
    weights = [
        _load_wide(builder, panel, _offset(builder, 4 * _TILE_COLUMNS, pair, 4 * _LANES * v))
        for v in range(_TILE_VECTORS)
    ]
    summed = []
    for r, start in enumerate(row_starts):
        halves = _broadcast(
            builder, builder.load(_pointer(builder, start, _offset(builder, 4, pair, 0), _WORD), align=2)
        )
        for v in range(_TILE_VECTORS):
            product = _pairwise_sums(builder, builder.mul(halves, weights[v]))
            summed.append(builder.add(held[_TILE_VECTORS * r + v], product))
    return summed


def _offset(builder, factor, stride, offset):
    """The offset ``factor * stride + offset`` in bytes; the stride is known when the loop runs only."""
    return builder.add(builder.mul(_ADDRESS(factor), stride), _ADDRESS(offset))


def _pointer(builder, address, offset, kind):
    return builder.inttoptr(builder.add(address, offset), kind.as_pointer())


def _load_wide(builder, address, offset):
    """Pairs of int16, widened to 32 bits."""
    return builder.sext(builder.load(_pointer(builder, address, offset, _PAIRS), align=4), _WIDE)


def _broadcast(builder, word):
    """A pair of halves in all lanes, widened to 32 bits."""
    undefined = ir.Constant(_SUMS, ir.Undefined)
    vector = builder.insert_element(undefined, word, ir.Constant(_WORD, 0))
    everywhere = builder.shuffle_vector(vector, undefined, ir.Constant(_SUMS, [0] * _LANES))
    return builder.sext(builder.bitcast(everywhere, _PAIRS), _WIDE)


def _pairwise_sums(builder, products):
    """Sums of neighbours; with the multiplication of widened halves LLVM makes one instruction of it."""
    undefined = ir.Constant(_WIDE, ir.Undefined)
    even, odd = (
        builder.shuffle_vector(products, undefined, ir.Constant(_SUMS, list(range(first, 2 * _LANES, 2))))
        for first in (0, 1)
    )
    return builder.add(even, odd)


def halves(n_rows: int, n_inner: int) -> np.ndarray:
    """Room for the halves of integers: two rows each, whole tiles of them, an even number of columns; zero outside."""
    padded = -(-n_rows // TILE_TOKENS) * TILE_TOKENS
    result = np.empty((2 * padded, n_inner + n_inner % 2 + _ROW_PADDING), dtype=np.int16)
    result[2 * n_rows :] = 0
    result[:, n_inner:] = 0
    return result


@njit(parallel=True, **LOOP_OPTIONS)
def split_limbs(ciphertexts, halves):
    """Halves of integers in three limbs of int8, (n_tokens, 3, n_inner)."""
    n_tokens, _, n_inner = ciphertexts.shape
    for t in prange(n_tokens):
        limb0, limb1, limb2 = ciphertexts[t, 0], ciphertexts[t, 1], ciphertexts[t, 2]
        lower, upper = halves[2 * t], halves[2 * t + 1]
        for k in range(n_inner):
            value = (np.int32(limb1[k]) << np.int32(8)) + np.int32(limb0[k])
            lower[k] = np.int16(value)
            upper[k] = np.int16(np.int32(limb2[k]) + ((value - np.int32(lower[k])) >> np.int32(16)))


@njit(parallel=True, **LOOP_OPTIONS)
def split_words(words, halves):
    """Halves of words of int32, (n_rows, n_inner)."""
    n_rows, n_inner = words.shape
    for t in prange(n_rows):
        row, lower, upper = words[t], halves[2 * t], halves[2 * t + 1]
        for k in range(n_inner):
            lower[k] = np.int16(row[k])
            upper[k] = np.int16((row[k] - np.int32(np.int16(row[k]))) >> np.int32(16))


@njit(**LOOP_OPTIONS)
def _pack(matrix, transposed, start, stop, column, last, panels):
    """Inner features of some columns as pairs of int16, a panel for every tile: (n_panels, n_pairs, _TILE_COLUMNS)."""
    n_pairs = (stop - start) // 2
    if (stop - start) % 2 or (last - column) % _TILE_COLUMNS:
        panels[:] = 0
    for p in range((last - column + _TILE_COLUMNS - 1) // _TILE_COLUMNS):
        panel, first = panels[p], column + p * _TILE_COLUMNS
        width = min(_TILE_COLUMNS, last - first)
        if transposed:
            for c in range(width):
                weights = matrix[first + c, start:stop]
                for q in range(n_pairs):
                    panel[q, c] = _pair(weights[2 * q], weights[2 * q + 1])
                if (stop - start) % 2:
                    panel[n_pairs, c] = _pair(weights[2 * n_pairs], np.int8(0))
        else:
            for q in range(n_pairs):
                even, odd = (
                    matrix[start + 2 * q, first : first + width],
                    matrix[start + 2 * q + 1, first : first + width],
                )
                for c in range(width):
                    panel[q, c] = _pair(even[c], odd[c])
            if (stop - start) % 2:
                for c in range(width):
                    panel[n_pairs, c] = _pair(matrix[stop - 1, first + c], np.int8(0))


@njit(inline="always", **LOOP_OPTIONS)
def _pair(even, odd):
    return (np.int32(odd) << np.int32(16)) | (np.int32(even) & np.int32(0xFFFF))


@njit(**LOOP_OPTIONS)
def _multiply_block(halves, matrix, transposed, column, last):
    """Rows of halves times some columns of a matrix: sums of int32, (n_rows, BLOCK_COLUMNS)."""
    n_rows, n_inner = len(halves), matrix.shape[1] if transposed else matrix.shape[0]
    n_panels = (last - column + _TILE_COLUMNS - 1) // _TILE_COLUMNS
    sums = np.zeros((n_rows, BLOCK_COLUMNS), dtype=np.int32)
    panels = np.empty((n_panels, _BLOCK_INNER // 2, _TILE_COLUMNS), dtype=np.int32)
    row_bytes, sum_bytes = halves.strides[0], sums.strides[0]
    for start in range(0, n_inner, _BLOCK_INNER):
        stop = min(n_inner, start + _BLOCK_INNER)
        _pack(matrix, transposed, start, stop, column, last, panels)
        for block in range(0, n_rows, _BLOCK_ROWS):
            for p in range(n_panels):
                for row in range(block, min(n_rows, block + _BLOCK_ROWS), _TILE_ROWS):
                    _multiply_tile(  # type: ignore[call-arg]
                        halves.ctypes.data + row * row_bytes + 2 * start,
                        row_bytes,
                        panels.ctypes.data + p * panels.strides[0],
                        sums.ctypes.data + row * sum_bytes + 4 * p * _TILE_COLUMNS,
                        sum_bytes,
                        (stop - start + 1) // 2,
                    )
    return sums


@njit(parallel=True, **LOOP_OPTIONS)
def multiply_words(halves, matrix, transposed, block_tokens, words):
    """Products modulo 2^32.

    Parameters
    ----------
    halves : ndarray of int16
        Of `halves`, filled.
    matrix : ndarray of int8, shape (n_inner, n_outputs), or with ``transposed`` (n_outputs, n_inner)
    transposed : bool
    block_tokens : int
        Tokens that a thread works on at a time; a multiple of `TILE_TOKENS`.
    words : ndarray of uint32, shape (n_tokens, n_outputs)
        The result.
    """
    n_tokens, n_outputs = words.shape
    n_blocks = (n_outputs + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    for unit in prange(n_blocks * ((n_tokens + block_tokens - 1) // block_tokens)):
        token, column = unit // n_blocks * block_tokens, unit % n_blocks * BLOCK_COLUMNS
        last = min(n_outputs, column + BLOCK_COLUMNS)
        sums = _multiply_block(halves[2 * token : 2 * (token + block_tokens)], matrix, transposed, column, last)
        for t in range(min(block_tokens, n_tokens - token)):
            _join(sums[2 * t], sums[2 * t + 1], words[token + t, column:last])


@njit(parallel=True, **LOOP_OPTIONS)
def multiply_ciphertexts(halves, matrix, transposed, block_tokens, ciphertexts):
    """As `multiply_words`, with the result modulo 2^24 as balanced limbs: int8, shape (n_tokens, 3, n_outputs)."""
    n_tokens, _, n_outputs = ciphertexts.shape
    n_blocks = (n_outputs + BLOCK_COLUMNS - 1) // BLOCK_COLUMNS
    for unit in prange(n_blocks * ((n_tokens + block_tokens - 1) // block_tokens)):
        token, column = unit // n_blocks * block_tokens, unit % n_blocks * BLOCK_COLUMNS
        last = min(n_outputs, column + BLOCK_COLUMNS)
        sums = _multiply_block(halves[2 * token : 2 * (token + block_tokens)], matrix, transposed, column, last)
        words = np.empty(last - column, dtype=np.uint32)
        for t in range(min(block_tokens, n_tokens - token)):
            _join(sums[2 * t], sums[2 * t + 1], words)
            limbs = ciphertexts[token + t]
            store_limbs(words, limbs[0, column:last], limbs[1, column:last], limbs[2, column:last])


@njit(**LOOP_OPTIONS)
def _join(lower, upper, words):
    for j in range(len(words)):
        words[j] = np.uint32(lower[j]) + (np.uint32(upper[j]) << np.uint32(16))
