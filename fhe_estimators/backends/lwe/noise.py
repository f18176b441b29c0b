"""The written noise model: how far a decrypted product is from the exact one, and how large an input may be.

An input ``x`` (one token) is sent as ``m = round(alpha x)``. What the worker multiplies by the integer weights ``w`` of
an output is ``m + e + r``: message, noise, and the rounding of the ciphertext to 24 bits, the last with
variance ``u^2 / 12`` for ``u = q / 2^24``. The product is ``w.m + w.(e + r) + w.d - h + p``, where ``d`` is the
rounding of the message, ``h`` comes from hints in single precision, and ``p`` from the rounding of responses to 16
bits, with variance ``(256 u)^2 / 12``. Everything is in units of 1 modulo q; divided by ``alpha``, it is the error of
the output in units of the weights' integers.

No output wraps if ``|w.(m + e + r)| < q / 2``. By Cauchy and Schwarz ``|w.m| <= |w| (alpha |x| + sqrt(d) / 2)``, and
the noise is bounded by its largest values, so `largest_scale` holds for every input, not only for usual ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ...exceptions import NonFiniteError
from .parameters import CIPHERTEXT_BITS, LARGEST_NOISE, NOISE_STANDARD_DEVIATION, LWEParameters

_ROUNDING_VARIANCE = 1 / 12
#: Standard deviations of what is bounded only statistically (the hints' rounding): exceeded less often than 1e-15.
_STATISTICAL_MARGIN = 8.0
#: Single-precision products and norms may be off by this much.
_FLOAT_MARGIN = 1 - 1e-6


@dataclass(frozen=True)
class WeightNorms:
    """Norms of the integer weights of the outputs of a layer.

    Parameters
    ----------
    euclidean : tensor of float32, shape (n_outputs,)
        Euclidean norm of each output's weights.
    largest_euclidean : float
        The largest of them.
    largest_absolute : float
        Largest sum of absolute values.
    n_inputs : int
        Inputs of the layer.
    """

    euclidean: torch.Tensor
    largest_euclidean: float
    largest_absolute: float
    n_inputs: int

    @classmethod
    def of(cls, matrix: torch.Tensor) -> WeightNorms:
        """Norms of a matrix.

        Parameters
        ----------
        matrix : tensor of int8, shape (n_inputs, n_outputs)
            Integer weights.

        Returns
        -------
        norms : WeightNorms
            The norms of its columns.
        """
        columns = [
            (part.to(torch.float32).square().sum(dim=0), part.to(torch.int32).abs().sum(dim=0))
            for part in matrix.split(512, dim=1)
        ]
        squares, absolutes = (torch.cat(parts) for parts in zip(*columns, strict=True))
        euclidean = squares.sqrt()
        return cls(euclidean, float(euclidean.max()), float(absolutes.max()), len(matrix))


@dataclass(frozen=True)
class NoiseModel:
    """Noise of one parameter set.

    Parameters
    ----------
    parameters : LWEParameters
        The parameters of the encryption.
    download_bits : {24, 16}, default=24
        Bits of a value of a response.
    """

    parameters: LWEParameters
    download_bits: int = CIPHERTEXT_BITS

    @property
    def rounding_unit(self) -> float:
        """What one unit of a ciphertext is worth modulo q."""
        return 2.0 ** (self.parameters.modulus_bits - CIPHERTEXT_BITS)

    @property
    def ciphertext_deviation(self) -> float:
        """Standard deviation of the noise of a ciphertext and of its rounding to 24 bits, for one value."""
        rounding = _ROUNDING_VARIANCE * self.rounding_unit**2 if self.rounding_unit > 1 else 0.0
        return math.sqrt(NOISE_STANDARD_DEVIATION**2 + rounding)

    @property
    def input_deviation(self) -> float:
        """The same, and the rounding of the message."""
        return math.sqrt(self.ciphertext_deviation**2 + _ROUNDING_VARIANCE)

    @property
    def hint_deviation(self) -> float:
        """Standard deviation of what the single precision of a hint adds to an output.

        The relative error of a float32 is uniform in a range of 2^-24 at most; averaged over the mantissa its standard
        deviation is 2^-24 / sqrt(6); transforms and products with the secret keep relative errors.
        """
        modulus = 2.0**self.parameters.modulus_bits
        product = modulus / math.sqrt(12) * math.sqrt(self.parameters.dimension * 2 / 3)
        return 2.0**-24 / math.sqrt(6) * product

    @property
    def response_unit(self) -> float:
        """What one unit of a response is worth modulo q: that of a ciphertext, unless the response is rounded."""
        return self.rounding_unit * 2.0 ** (CIPHERTEXT_BITS - self.download_bits)

    @property
    def added_deviation(self) -> float:
        """Standard deviation of what does not depend on the weights: the hint's precision, the response's rounding."""
        rounded = self.download_bits < CIPHERTEXT_BITS
        return math.sqrt(self.hint_deviation**2 + (_ROUNDING_VARIANCE * self.response_unit**2 if rounded else 0.0))

    def largest_scale(self, norms: WeightNorms) -> float:
        """Largest ``alpha |x|`` for which no output of a layer wraps, whatever the input.

        Parameters
        ----------
        norms : WeightNorms
            The norms of the layer's weights.

        Returns
        -------
        largest_scale : float
            In units of 1 modulo q.

        Raises
        ------
        ValueError
            If the layer is so wide that its noise alone could wrap.
        """
        noise = norms.largest_absolute * (LARGEST_NOISE + self.rounding_unit / 2 + 1)
        noise += _STATISTICAL_MARGIN * self.hint_deviation + self.response_unit / 2
        room = 2.0 ** (self.parameters.modulus_bits - 1) - noise
        scale = room / max(norms.largest_euclidean, 1.0) - math.sqrt(norms.n_inputs) / 2
        if scale < 1:
            raise ValueError(
                f"A layer of {norms.n_inputs} inputs with weights of norm {norms.largest_euclidean:.3g} leaves no room "
                "for messages beside the noise: use the 'precise' parameters."
            )
        return scale * _FLOAT_MARGIN

    def simulated_deviation(self, norms: WeightNorms) -> float:
        """Standard deviation of noise which, added to rounded messages, has the effect of encryption on the outputs.

        Noise and rounding of ciphertexts, and what hints and the rounding of responses add to an output of average
        weights: a hundredth or less.

        Parameters
        ----------
        norms : WeightNorms
            The norms of the layer's weights.

        Returns
        -------
        deviation : float
            In units of 1 modulo q.
        """
        average_square = max(float(norms.euclidean.square().mean()), 1.0)
        return math.sqrt(self.ciphertext_deviation**2 + self.added_deviation**2 / average_square)

    def output_deviation(self, norms: WeightNorms) -> torch.Tensor:
        """Standard deviation of each output's noise times ``alpha``.

        Parameters
        ----------
        norms : WeightNorms
            The norms of the layer's weights.

        Returns
        -------
        deviations : tensor of float32, shape (n_outputs,)
            In units of 1 modulo q; divided by a token's ``alpha``, in units of the weights' integers.
        """
        return (norms.euclidean.square() * self.input_deviation**2 + self.added_deviation**2).sqrt()


def lengths_of(values: torch.Tensor) -> torch.Tensor:
    """Euclidean norms of tokens.

    Parameters
    ----------
    values : tensor of float32, shape (n_tokens, n_features)
        Tokens.

    Returns
    -------
    lengths : tensor of float64, shape (n_tokens,)
        Their norms.
    """
    return torch.linalg.vector_norm(values, dim=1, dtype=torch.float64)


def scales_of(lengths: torch.Tensor, largest_scale: float) -> torch.Tensor:
    """``alpha`` of each token: ``largest_scale / |x|``.

    Tokens that are zero (gradients of padding) get the largest there is, or they would come back as nothing but noise.

    Parameters
    ----------
    lengths : tensor of float64, shape (n_tokens,)
        Norms of the tokens.
    largest_scale : float
        From `NoiseModel.largest_scale`.

    Returns
    -------
    scales : tensor of float32, shape (n_tokens,)
        Factors.

    Raises
    ------
    NonFiniteError
        If a length is NaN or infinite.
    """
    if not torch.isfinite(lengths).all():
        raise NonFiniteError(
            "Values to encrypt contain NaN or infinity: training has diverged (lower learning_rate), or the model's "
            "activations overflow."
        )
    return (largest_scale / lengths).clamp(max=_LARGEST_ALPHA).to(torch.float32)


def inverse_scales(scales: torch.Tensor) -> torch.Tensor:
    """What decrypted tokens are multiplied by: ``1 / alpha``, and 0 where there was nothing but zeros to encrypt.

    The noise of such a token is known to be noise, and it is so small that products with it are denormal numbers, with
    which processors are many times slower.
    """
    return torch.where(scales < _LARGEST_ALPHA, 1 / scales, 0.0)


#: Keeps alpha and its inverse within the range of float32, whatever tiny numbers a token holds.
_LARGEST_ALPHA = 1e30
