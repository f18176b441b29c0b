"""The client's arithmetic on ciphertexts: compiled loops on the CPU, PyTorch elsewhere; equal bit for bit.

Randomness comes in from outside, so both can be held against known answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch

from ....utils import optional_module
from .._limbs import from_limbs, to_limbs
from ..noise import lengths_of
from ..parameters import CIPHERTEXT_BITS, NOISE_BITS, WORD_BITS, LWEParameters
from .sampling import UNIT_VALUES, centred_binomial, n_units, noise_stream
from .transform import NegacyclicTransform

#: Features that PyTorch transforms at a time.
_CHUNK = 256
#: Units of noise that a thread makes at a time: a megabyte of bits, which its second-level cache holds.
_NOISE_UNITS = 384
_DROPPED_BITS = WORD_BITS - CIPHERTEXT_BITS
_HALF_UNIT = 1 << (_DROPPED_BITS - 1)


class ClientKernels(Protocol):
    """What a device offers; spectra are in a layout of its own, with features along the first axis."""

    def spectra(self, polynomials: torch.Tensor, *, single: bool = False) -> torch.Tensor:
        """Spectra of polynomials of int32, shape (n_features, rank, ring_degree); ``single``: in single precision."""

    def secret_spectra(self, secret: np.ndarray) -> torch.Tensor:
        """Spectra of a secret, shape (rank, ring_degree)."""

    def lengths(self, values: torch.Tensor) -> torch.Tensor:
        """Euclidean norms of rows of float32, as float64."""

    def encrypt(
        self, spectra: torch.Tensor, secret: torch.Tensor, noise_key: bytes, values: torch.Tensor, scales: torch.Tensor
    ) -> torch.Tensor:
        """Mask + noise + ``round(values * scales)``, in limbs of int8, shape (n_tokens, 3, n_features).

        ``values`` are of float32, (n_tokens, n_features), ``scales`` of float32, (n_tokens,).
        """

    def decrypt(
        self,
        spectra: torch.Tensor,
        secret: torch.Tensor,
        ciphertexts: torch.Tensor,
        factors: torch.Tensor,
        scales: torch.Tensor,
    ) -> torch.Tensor:
        """Centred difference of ciphertexts and masks, in units of 2^-32 of the torus, times factors and scales.

        ``ciphertexts`` have three limbs, or the upper two.
        """


def client_kernels(parameters: LWEParameters, device: torch.device) -> ClientKernels:
    """The fastest kernels for a device."""
    loops = optional_module(f"{__package__}.loops", requires="numba") if device.type == "cpu" else None
    return TorchKernels(parameters, device) if loops is None else CompiledKernels(parameters, loops)


def _chunks(n_features: int) -> Iterator[slice]:
    for start in range(0, n_features, _CHUNK):
        yield slice(start, min(start + _CHUNK, n_features))


class TorchKernels:
    """Kernels in PyTorch operations, for any device.

    Parameters
    ----------
    parameters : LWEParameters
    device : torch.device
    """

    def __init__(self, parameters: LWEParameters, device: torch.device):
        self.parameters = parameters
        self.device = device
        self.transform = NegacyclicTransform(parameters.ring_degree, device)

    def spectra(self, polynomials: torch.Tensor, *, single: bool = False) -> torch.Tensor:
        spectra = self.transform.spectrum(polynomials.to(self.device))
        return spectra.to(torch.complex64) if single else spectra

    def secret_spectra(self, secret: np.ndarray) -> torch.Tensor:
        return self.spectra(torch.from_numpy(secret))

    def lengths(self, values: torch.Tensor) -> torch.Tensor:
        return lengths_of(values)

    def _masks(self, spectra: torch.Tensor, secret: torch.Tensor, n_tokens: int) -> torch.Tensor:
        products = (spectra * secret).sum(dim=1)
        return self.transform.coefficients(products)[:, :n_tokens].T

    def _noise(self, key: bytes, n_values: int) -> torch.Tensor:
        bits = torch.from_numpy(noise_stream(key, 0, n_units(n_values), NOISE_BITS).view(np.uint8))
        return centred_binomial(bits.to(self.device))[:n_values]

    def encrypt(self, spectra, secret, noise_key, values, scales):
        n_tokens, n_features = values.shape
        ciphertexts = torch.empty((n_tokens, 3, n_features), dtype=torch.int8, device=self.device)
        noise = self._noise(noise_key, values.numel()).reshape(values.shape)
        for columns in _chunks(n_features):
            masks = self._masks(spectra[columns], secret, n_tokens)
            messages = (values[:, columns] * scales[:, None]).round().to(torch.int64) + noise[:, columns]
            words = masks + (messages << self.parameters.shift_bits)
            ciphertexts[:, :, columns] = to_limbs((words + _HALF_UNIT) >> _DROPPED_BITS)
        return ciphertexts

    def decrypt(self, spectra, secret, ciphertexts, factors, scales):
        n_tokens, n_limbs, n_features = ciphertexts.shape
        values = torch.empty((n_tokens, n_features), dtype=torch.float32, device=self.device)
        for columns in _chunks(n_features):
            masks = self._masks(spectra[columns], secret, n_tokens)
            words = (from_limbs(ciphertexts[:, :, columns]) << (WORD_BITS - 8 * n_limbs)) - masks
            centred = ((words + 2**31) & (2**32 - 1)) - 2**31
            values[:, columns] = centred.to(torch.float32) * (factors[columns] * scales[:, None])
        return values


class CompiledKernels:
    """Kernels in compiled loops on the CPU.

    Parameters
    ----------
    parameters : LWEParameters
    loops : module
        `loops`.
    """

    def __init__(self, parameters: LWEParameters, loops: Any):
        half = parameters.ring_degree // 2
        self.parameters = parameters
        self.loops = loops
        self.transform = NegacyclicTransform(parameters.ring_degree)
        self._order = torch.from_numpy(_bit_reversed(half))
        self._constants = _twiddles(half), torch.view_as_real(self.transform.untwist).numpy()
        self._twist, self._roots = torch.view_as_real(self.transform.twist).numpy(), _roots(half)

    def spectra(self, polynomials: torch.Tensor, *, single: bool = False) -> torch.Tensor:
        """Shape (n_groups, rank, half, 2, lanes): features in groups, side by side."""
        n_features, lanes = len(polynomials), self.loops.LANES
        shape = (-(-n_features // lanes), self.parameters.rank, self.parameters.ring_degree // 2, 2, lanes)
        result = torch.empty(shape, dtype=torch.float32 if single else torch.float64)
        polynomials = polynomials.to(torch.int32).contiguous()
        self.loops.compute_spectra(polynomials.numpy(), self._twist, self._roots, result.numpy())
        return result

    def secret_spectra(self, secret: np.ndarray) -> torch.Tensor:
        spectra = self.transform.spectrum(torch.from_numpy(secret))[..., self._order]
        return torch.view_as_real(spectra.contiguous())

    def lengths(self, values: torch.Tensor) -> torch.Tensor:
        lengths = torch.empty(len(values), dtype=torch.float64)
        self.loops.measure_lengths(values.numpy(), lengths.numpy())
        return lengths

    def encrypt(self, spectra, secret, noise_key, values, scales):
        n_tokens, n_features = values.shape
        ciphertexts = torch.empty((n_tokens, 3, n_features), dtype=torch.int8)
        ones = self._ones(noise_key, values.numel()).reshape(values.shape)
        masking, shift = self._masking(spectra, secret, n_features), self.parameters.shift_bits
        self.loops.encrypt(*masking, ones, NOISE_BITS // 2, values.numpy(), scales.numpy(), shift, ciphertexts.numpy())
        return ciphertexts

    def decrypt(self, spectra, secret, ciphertexts, factors, scales):
        n_tokens, _, n_features = ciphertexts.shape
        values = torch.empty((n_tokens, n_features), dtype=torch.float32)
        masking = self._masking(spectra, secret, n_features)
        self.loops.decrypt(*masking, ciphertexts.numpy(), factors.numpy(), scales.numpy(), values.numpy())
        return values

    def _ones(self, key: bytes, n_values: int) -> np.ndarray:
        """The noise, plus its mean; made by threads a piece at a time, so that the bits stay in their caches."""
        ones = np.empty((n_units(n_values), 8, UNIT_VALUES // 64), dtype=np.uint64)

        def sample(start: int) -> None:
            piece = ones[start : start + _NOISE_UNITS]
            bits = noise_stream(key, start, start + len(piece), NOISE_BITS)
            self.loops.count_ones(bits.reshape(-1), NOISE_BITS, piece.reshape(-1))

        starts = range(0, len(ones), _NOISE_UNITS)
        if len(starts) == 1:
            sample(0)
        else:
            with ThreadPoolExecutor(torch.get_num_threads()) as pool:
                list(pool.map(sample, starts))
        return ones.reshape(-1).view(np.uint8)[:n_values]

    def _masking(self, spectra: torch.Tensor, secret: torch.Tensor, n_features: int) -> tuple[np.ndarray, ...]:
        # The loops read as many spectra as there are features, and check nothing themselves.
        lanes, half = self.loops.LANES, self.parameters.ring_degree // 2
        shape = (self.parameters.rank, half, 2, lanes)
        if len(spectra) * lanes < n_features or spectra.shape[1:] != shape or secret.shape != shape[:-1]:
            raise ValueError(
                f"Spectra of shape {tuple(spectra.shape)}, with a secret of shape {tuple(secret.shape)}, are not those "
                f"of {n_features} features."
            )
        return spectra.numpy().reshape(-1), secret.numpy(), *self._constants


def _bit_reversed(length: int) -> np.ndarray:
    order = np.zeros(1, dtype=np.int64)
    while len(order) < length:
        order = np.concatenate([2 * order, 2 * order + 1])
    return order


def _roots(half: int) -> np.ndarray:
    """Roots of unity of the stages of the FFT, as `compute_spectra` takes them."""
    spans = [half >> n for n in range(1, half.bit_length())]
    roots = [np.exp(-1j * np.pi / span * np.arange(span)).view(np.float64).reshape(-1, 2) for span in spans]
    return np.concatenate([np.empty((0, 2)), *roots])


def _twiddles(half: int) -> np.ndarray:
    """Roots of unity of pairs of stages, a row for each butterfly: real and imaginary part of w, its square and cube.

    The pairs follow one another as they are used: spans of 1, 4, 16, ... or, after a single stage, of 2, 8, 32, ...
    """
    n_stages = half.bit_length() - 1
    pairs = [np.empty((0, 6))]
    for stage in range(n_stages % 2, n_stages, 2):
        powers = np.exp(1j * np.pi / (2 << stage) * np.outer(np.arange(1 << stage), [1, 2, 3]))
        pairs.append(powers.view(np.float64))
    return np.concatenate(pairs)
