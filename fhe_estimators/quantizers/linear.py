"""Quantizers of linear layers: weights to int8 limbs, and optionally activations to 8 bits (needs PyTorch)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_INT8_LIMIT = 127
#: Largest integer of two balanced limbs, the upper one within the int8 limit.
_INT16_LIMIT = 127 * 256 + 127


@dataclass(frozen=True)
class LinearQuantizer:
    """How the weights of a linear layer become integers, and whether its inputs do.

    Parameters
    ----------
    n_limbs : {1, 2}, default=1
        Limbs of 8 bits of a weight.
    per_channel : bool, default=True
        A scale for every output, or one for the layer.
    activations : {None, "static-tensor", "dynamic-tensor", "dynamic-token"}, default=None
        Round inputs to 8 bits, with a scale from calibration, of each input, or of each token. None leaves them as they
        are: the `lwe` engine needs no quantized inputs. Gradients pass straight through.

    Examples
    --------
    >>> import torch
    >>> from fhe_estimators.quantizers.linear import LinearQuantizer
    >>> integers, scales = LinearQuantizer().quantize_weights(torch.tensor([[127.0, -50.0], [0.0, 254.0]]))
    >>> integers.tolist()
    [[127, -50], [0, 127]]
    >>> scales.tolist()
    [1.0, 2.0]
    """

    n_limbs: int = 1
    per_channel: bool = True
    activations: str | None = None

    def quantize_weights(self, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Integers and scales of weights.

        Parameters
        ----------
        weights : tensor of floats, shape (n_outputs, n_inputs)
            The weights of a linear layer, as PyTorch holds them.

        Returns
        -------
        integers : tensor of int8, shape (n_limbs * n_outputs, n_inputs)
            The upper limbs of all outputs first.
        scales : tensor of float32, shape (n_limbs * n_outputs,)
            Weights are the sum over limbs of integers times scales.
        """
        weights = weights.detach().to(torch.float32)
        if not torch.isfinite(weights).all():
            raise ValueError("The model has weights that are NaN or infinite.")
        limit = _INT8_LIMIT if self.n_limbs == 1 else _INT16_LIMIT
        largest = weights.abs().amax(dim=1) if self.per_channel else weights.abs().amax().expand(len(weights))
        scales = torch.where(largest > 0, largest / limit, 1.0)
        integers = (weights / scales[:, None]).round().clamp(-limit, limit).to(torch.int32)
        if self.n_limbs == 1:
            return integers.to(torch.int8), scales
        lower = ((integers + 128) & 255) - 128
        return torch.cat([(integers - lower) >> 8, lower]).to(torch.int8), torch.cat([256 * scales, scales])

    def quantize_inputs(self, inputs: torch.Tensor, static_largest: float | None = None) -> torch.Tensor:
        """Inputs rounded to 8 bits, or as they are if `activations` is None.

        Parameters
        ----------
        inputs : tensor of floats, shape (n_tokens, n_inputs)
            The inputs of a linear layer.
        static_largest : float, default=None
            Largest absolute input seen in calibration, for ``"static-tensor"``.

        Returns
        -------
        rounded : tensor of floats, shape (n_tokens, n_inputs)
            Multiples of a scale.
        """
        if self.activations is None:
            return inputs
        if self.activations == "static-tensor":
            if static_largest is None:
                raise ValueError("Static quantization needs calibration: pass texts to compile(X).")
            largest = torch.as_tensor(static_largest)
        elif self.activations == "dynamic-tensor":
            largest = inputs.abs().amax()
        else:
            largest = inputs.abs().amax(dim=-1, keepdim=True)
        scale = torch.where(largest > 0, largest / _INT8_LIMIT, 1.0)
        return (inputs / scale).round().clamp(-_INT8_LIMIT, _INT8_LIMIT) * scale


#: The last three are the 8-bit schemes that *Private LoRA Fine-tuning of Open-Source LLMs with Homomorphic Encryption*
#: compares: one scale for all weights, and inputs rounded as well.
LINEAR_QUANTIZERS = {
    "int8": LinearQuantizer(),
    "int16": LinearQuantizer(n_limbs=2),
    "int8-static-tensor": LinearQuantizer(per_channel=False, activations="static-tensor"),
    "int8-dynamic-tensor": LinearQuantizer(per_channel=False, activations="dynamic-tensor"),
    "int8-dynamic-token": LinearQuantizer(per_channel=False, activations="dynamic-token"),
}


def resolve_linear_quantizer(weight_quantizer: str | LinearQuantizer) -> LinearQuantizer:
    """Quantizer of linear layers from its name, or as it is.

    Parameters
    ----------
    weight_quantizer : str or LinearQuantizer
        A key of `LINEAR_QUANTIZERS`, or an instance.

    Returns
    -------
    quantizer : LinearQuantizer
        The instance, or the one of that name.
    """
    if isinstance(weight_quantizer, LinearQuantizer):
        return weight_quantizer
    if weight_quantizer not in LINEAR_QUANTIZERS:
        raise ValueError(
            f"weight_quantizer={weight_quantizer!r} is unknown: use one of {sorted(LINEAR_QUANTIZERS)} or a "
            "LinearQuantizer."
        )
    return LINEAR_QUANTIZERS[weight_quantizer]
