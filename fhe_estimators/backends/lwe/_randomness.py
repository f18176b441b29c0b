"""Random bytes and what is sampled from them: public matrices, secrets and noise.

Everything is a function of a key of 32 bytes (and of nothing else), so that known-answer tests can inject one; callers
take their keys from `os.urandom`.
"""

from __future__ import annotations

import math
import os

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .parameters import KEY_BYTES, NOISE_STANDARD_DEVIATION, LWEParameters

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
        Where to start; a multiple of 16.
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


def ternary_secret(key: bytes, parameters: LWEParameters) -> np.ndarray:
    """A secret uniform in {-1, 0, 1}, by rejection from bytes.

    Returns
    -------
    ndarray of int8, shape (rank, ring_degree)
    """
    dimension = parameters.dimension
    stream, found = Keystream(key), np.empty(0, dtype=np.uint8)
    while len(found) < dimension:
        drawn = stream.words((2 * dimension,), np.uint8)
        found = np.concatenate([found, drawn[drawn < 255]])  # 255 = 3 * 85: without the last value no bias is left
    return (found[:dimension] % 3).astype(np.int8).reshape(parameters.rank, parameters.ring_degree) - np.int8(1)


def _gaussian_thresholds() -> np.ndarray:
    """Cumulative probabilities, times 2^15, of the magnitude of the discrete Gaussian."""
    variance = NOISE_STANDARD_DEVIATION**2
    weights = [1.0, *(2 * math.exp(-(x**2) / (2 * variance)) for x in range(1, 64))]
    cumulative = np.cumsum(weights) / sum(weights)
    thresholds = np.rint(cumulative * 2**15).astype(np.uint16)
    return thresholds[thresholds < 2**15]


#: A magnitude is the number of thresholds that 15 uniform bits reach; the sixteenth bit is the sign. Tables of this
#: precision are those of FrodoKEM (E. Alkim et al., specification of 2021, section 2.2.4 and its Renyi-divergence
#: argument in section 5.1.3); comparing with every threshold takes the same time for every value.
GAUSSIAN_THRESHOLDS = _gaussian_thresholds()


def gaussian_from_words(words: np.ndarray) -> np.ndarray:
    """Discrete Gaussian noise from uniform words of 16 bits, as int8. The kernels do the same, fused."""
    magnitude = (words[..., None] >> 1 >= GAUSSIAN_THRESHOLDS).sum(axis=-1).astype(np.int8)
    return np.where(words & 1, -magnitude, magnitude)
