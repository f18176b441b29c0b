"""Where the time of the lwe client's compiled loops goes, beside what memory and arithmetic allow; on one thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import torch

from fhe_estimators.backends.lwe import LWEParameters, select_parameters
from fhe_estimators.backends.lwe._randomness import new_key, public_matrix
from fhe_estimators.backends.lwe.client import loops
from fhe_estimators.backends.lwe.client.kernels import CompiledKernels
from fhe_estimators.backends.lwe.client.sampling import n_units, noise_stream, ternary_secret
from fhe_estimators.backends.lwe.client.vectors import WIDTH, fill, store
from fhe_estimators.backends.lwe.parameters import NOISE_BITS

HEADER = (
    "client on one thread",
    "parameters",
    "ns a value",
    "bytes",
    "memory allows ns",
    "operations",
    "peak allows ns",
)
_N_TOKENS, _N_FEATURES = 1024, 96
_N_VALUES = _N_TOKENS * _N_FEATURES
_STREAMED_WORDS = 1 << 24
_CHAIN = 100_000


@dataclass
class Machine:
    """Measured limits of one thread: bytes a nanosecond, and operations on doubles a nanosecond."""

    bytes_per_ns: float
    operations_per_ns: float

    @classmethod
    def measured(cls) -> Machine:
        source = np.ones(_STREAMED_WORDS, dtype=np.uint64)
        target = np.zeros_like(source)
        copy_ns = shortest_ns(lambda: np.copyto(target, source), 7)
        result = np.empty(WIDTH)
        chain_ns = shortest_ns(lambda: _multiply_and_add(_CHAIN, 0.9, 0.1, result), 25)
        return cls(2 * source.nbytes / copy_ns, _CHAIN * 8 * 2 * WIDTH / chain_ns)


@numba.njit(nogil=True)
def _multiply_and_add(n_steps, factor, term, result):
    """Eight chains of fused multiply-adds, which no memory holds up."""
    a = b = c = d = e = f = g = h = fill(1.0)
    x, y = fill(factor), fill(term)
    for _ in range(n_steps):
        a, b, c, d = a * x + y, b * x + y, c * x + y, d * x + y
        e, f, g, h = e * x + y, f * x + y, g * x + y, h * x + y
    store(result, 0, (a + b + c + d) + (e + f + g + h))


def shortest_ns(function: Callable[[], Any], repeat: int) -> float:
    """Nanoseconds of the shortest of several runs after a first one: what nothing else disturbed."""
    function()
    runs = []
    for _ in range(repeat):
        start = time.perf_counter_ns()
        function()
        runs.append(time.perf_counter_ns() - start)
    return float(min(runs))


def operations_of_masks(parameters: LWEParameters) -> float:
    """Additions and multiplications a coefficient of a mask."""
    stages = (parameters.ring_degree // 2).bit_length() - 1
    butterflies = stages % 2 + 34 / 16 * (stages - stages % 2)  # 34 for two stages of four complex numbers
    return 4.0 * parameters.rank + butterflies + 4.0  # products with the secret; untwisting and rounding


def rows(repeat: int) -> list[list[str]]:
    """Rows of the table."""
    threads, machine, found = numba.get_num_threads(), Machine.measured(), []
    numba.set_num_threads(1)
    try:
        for name in ("fast", "precise"):
            parameters = select_parameters(_N_TOKENS, name=name)
            for part, ns, n_bytes, operations in _parts(parameters, repeat):
                floors = n_bytes / machine.bytes_per_ns, operations / machine.operations_per_ns
                cells = (
                    f"{ns / _N_VALUES:.2f}",
                    f"{n_bytes:.1f}",
                    f"{floors[0]:.2f}",
                    f"{operations:.0f}",
                    f"{floors[1]:.2f}",
                )
                found.append([part, name, *cells])
    finally:
        numba.set_num_threads(threads)
    return found


def _parts(parameters: LWEParameters, repeat: int) -> list[tuple[str, float, float, float]]:
    """Name, nanoseconds, bytes a value to and from memory, and operations on doubles a value."""
    kernels, shape = CompiledKernels(parameters, loops), (_N_TOKENS, _N_FEATURES)
    words = torch.from_numpy(public_matrix(new_key(), parameters, 0, _N_FEATURES).view(np.int32))
    secret = kernels.secret_spectra(ternary_secret(new_key(), parameters))
    spectra, hint = kernels.spectra(words), kernels.spectra(words, single=True)
    values, scales = torch.randn(shape), torch.full((_N_TOKENS,), 1e4)
    masks, lengths = np.empty(shape, dtype=np.uint32), np.empty(_N_TOKENS)
    units, key = n_units(_N_VALUES), new_key()
    bits = noise_stream(key, 0, units)
    ones = np.empty(units * 64, dtype=np.uint64)
    counts = ones.view(np.uint8)[:_N_VALUES].reshape(shape)
    ciphertexts = np.empty((_N_TOKENS, 3, _N_FEATURES), dtype=np.int8)
    factors, shift = np.ones(_N_FEATURES, dtype=np.float32), parameters.shift_bits

    def mask(polynomials: torch.Tensor) -> None:
        flat, *constants = kernels._masking(polynomials, secret, _N_FEATURES)
        loops.compute_masks(flat, (0, len(polynomials)), *constants, masks)

    def encrypt() -> None:
        masking = kernels._masking(spectra, secret, _N_FEATURES)
        loops.encrypt(*masking, counts, 21, values.numpy(), scales.numpy(), shift, ciphertexts)

    def decrypt() -> None:
        masking = kernels._masking(hint, secret, _N_FEATURES)
        loops.decrypt(*masking, ciphertexts, factors, scales.numpy(), values.numpy())

    def ns(function: Callable[[], Any]) -> float:
        return shortest_ns(function, 4 * repeat)

    masking, unmasking = ns(lambda: mask(spectra)), ns(lambda: mask(hint))
    coefficients = parameters.dimension / _N_TOKENS  # of which the first are used, if there are fewer tokens
    operations = operations_of_masks(parameters) * max(1.0, parameters.ring_degree / _N_TOKENS)
    return [
        ("lengths of tokens", ns(lambda: loops.measure_lengths(values.numpy(), lengths)), 4, 2),
        ("keystream of the noise", ns(lambda: noise_stream(key, 0, units)), NOISE_BITS / 8, 0),
        ("noise", ns(lambda: loops.count_ones(bits.reshape(-1), NOISE_BITS, ones)), 1, 0),
        ("masks, encryption", masking, 8 * coefficients, operations),
        ("message and rounding", ns(encrypt) - masking, 4 + 1 + 3, 2),
        ("masks, decryption", unmasking, 4 * coefficients, operations),
        ("unmasking", ns(decrypt) - unmasking, 3 + 4, 2),
    ]
