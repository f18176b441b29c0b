"""SEAL ciphertexts with contents of the forger's choice, built by hand in SEAL's file format."""

import struct
from functools import cache

import numpy as np
import tenseal.sealapi as seal

from fhe_estimators.backends.seal.file import SealFile

_MAGIC, _HEADER_BYTES = 0xA15E, 16


@cache
def seal_version() -> tuple[int, int]:
    """Major and minor version of SEAL, as it writes them into files."""
    with SealFile() as file:
        header = file.dump(seal.Plaintext())
    return header[3], header[4]


def _framed(content: bytes) -> bytes:
    """SEAL's header (magic, sizes, version, no compression) before a content."""
    sizes = 0, 0, _HEADER_BYTES + len(content)
    return struct.pack("<HBBBBHQ", _MAGIC, _HEADER_BYTES, *seal_version(), *sizes) + content


def ciphertext_bytes(context, level, polynomials, *, scale=1.0, is_ntt_form=True) -> bytes:
    """A ciphertext from residues, each polynomial of shape (n_primes, N), uint64."""
    data = np.stack(polynomials).astype("<u8")
    size, n_primes, degree = data.shape
    body = struct.pack("<4Q?QQQdQ", *context.level_ids[level], is_ntt_form, size, degree, n_primes, scale, 1)
    return _framed(body + _framed(struct.pack("<Q", data.size) + data.tobytes()))


def residues(context, level, coefficients, scale) -> np.ndarray:
    """NTT of ``scale`` times an integer polynomial, shape (n_primes, N), uint64."""
    parameters = context.parameters
    n, degree = parameters.n_primes(level), parameters.poly_modulus_degree
    slots = slots_of(coefficients)
    plain = seal.Plaintext()
    seal.CKKSEncoder(context.seal_context).encode(slots.tolist(), context.level_ids[level], float(scale), plain)
    array = plain.dyn_array()
    return np.array([array.at(i) for i in range(n * degree)], dtype=np.uint64).reshape(n, degree)


@cache
def _order(degree) -> np.ndarray:
    """Position of each of SEAL's slots among the odd powers of ``exp(i pi / N)``."""
    return np.array([(pow(3, j, 2 * degree) - 1) // 2 for j in range(degree // 2)])


def slots_of(coefficients) -> np.ndarray:
    """The N/2 slots of a real polynomial, in SEAL's order, complex128."""
    degree = len(coefficients)
    values = np.fft.ifft(coefficients * np.exp(1j * np.pi * np.arange(degree) / degree)) * degree
    return values[_order(degree)]


def coefficients_of(slots) -> np.ndarray:
    """Inverse of `slots_of`, float64."""
    degree = 2 * len(slots)
    values = np.empty(degree, dtype=complex)
    values[_order(degree)] = slots
    values[degree - 1 - _order(degree)] = np.conj(slots)
    return (np.fft.fft(values) / degree * np.exp(-1j * np.pi * np.arange(degree) / degree)).real


def monomials(degree, powers) -> np.ndarray:
    """Coefficients of the sum of ``c X ** p`` for ``(p, c)``, with ``X ** degree = -1``."""
    result = np.zeros(degree)
    for power, coefficient in powers:
        result[power % degree] += coefficient * (-1) ** (power // degree)
    return result
