"""Random bytes, and the public matrix that is expanded from them; secrets and noise are in `client.sampling`.

Everything is a function of a key of 32 bytes (and of nothing else), so that known-answer tests can inject one; callers
take their keys from `os.urandom`.
"""

from __future__ import annotations

import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .parameters import KEY_BYTES, LWEParameters

_BLOCK_BYTES = 16


def new_key() -> bytes:
    """A fresh key from the operating system's CSPRNG."""
    return os.urandom(KEY_BYTES)


class Keystream:
    """The stream of AES-256 in counter mode.

    Parameters
    ----------
    key : bytes
        32 bytes.
    start_byte : int, default=0
        The byte of the stream to start at; a multiple of 16.
    """

    def __init__(self, key: bytes, *, start_byte: int = 0):
        block, within = divmod(start_byte, _BLOCK_BYTES)
        if within:
            raise ValueError(f"start_byte={start_byte} must be a multiple of {_BLOCK_BYTES}.")
        counter = block.to_bytes(16, "big")
        self._encryptor = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()

    def words(self, shape: tuple[int, ...], dtype: type[np.unsignedinteger]) -> np.ndarray:
        """The next uniform integers of the stream."""
        words = np.zeros(shape, dtype=dtype)
        self._encryptor.update_into(words.data.cast("B"), words.data.cast("B"))
        return words


def public_matrix(seed: bytes, parameters: LWEParameters, start: int, stop: int) -> np.ndarray:
    """Rows of the public matrix, uniform modulo q, in words of 32 bits (see `LWEParameters.shift_bits`).

    Parameters
    ----------
    seed : bytes
        32 public bytes; one a fine-tuning run.
    parameters : LWEParameters
    start, stop : int
        Rows, one an input feature. Row j is the same whatever the range asked for.

    Returns
    -------
    ndarray of uint32, shape (stop - start, rank, ring_degree)
    """
    dimension = parameters.dimension
    stream = Keystream(seed, start_byte=4 * start * dimension)
    words = stream.words((stop - start, parameters.rank, parameters.ring_degree), np.uint32)
    words <<= np.uint32(parameters.shift_bits)
    return words
