"""The three ways to multiply by frozen weights: in the clear, with simulated noise, by workers on ciphertexts."""

from __future__ import annotations

import torch

from ...backends.lwe import LWEParameters, NoiseModel
from ...backends.lwe.client.encryption import LWEClient
from ...backends.lwe.hint_cache import HintCache
from ...backends.lwe.noise import inverse_scales, lengths_of, scales_of
from ..costs import Costs
from ..model.weights import BACKWARD, FORWARD, oriented
from .frozen_layer import FrozenLayer
from .pool import WorkerPool

#: Weights that are converted to float32 at a time: 16 MiB, which allocators keep for the next time.
_CONVERTED_WEIGHTS = 1 << 22


class _QuantizedProducts:
    """What the three have in common: scales, limbs, quantized inputs."""

    def forward(self, layer: FrozenLayer, inputs: torch.Tensor) -> torch.Tensor:
        inputs = layer.quantizer.quantize_inputs(inputs, layer.static_largest)
        return layer.merge_limbs(self._multiply(layer, FORWARD, inputs, layer.scales))

    def backward(self, layer: FrozenLayer, gradients: torch.Tensor) -> torch.Tensor:
        # The gradient of the quantized layer itself: the scales are the client's, the integers are those of the
        # forward product, so workers hold one copy of the weights.
        ones = torch.ones(layer.n_inputs, device=gradients.device)
        return self._multiply(layer, BACKWARD, layer.scaled_gradients(gradients), ones)

    def _multiply(
        self, layer: FrozenLayer, direction: str, values: torch.Tensor, output_scales: torch.Tensor
    ) -> torch.Tensor:
        raise NotImplementedError


class ClearProducts(_QuantizedProducts):
    """Quantized weights in the clear, on the client: ``fhe="disable"``."""

    def _multiply(self, layer, direction, values, output_scales):
        if layer.weights is None:
            raise ValueError(
                f'Layer {layer.name} is held by workers only; use fhe="execute" (fhe="disable" and "simulate" need the '
                "weights on the client)."
            )
        return _float_product(values, oriented(layer.weights, direction).to(values.device)) * output_scales


def _float_product(values: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Times a matrix of int8, which is never whole in float32.

    Memory for a large one is fresh at every product, and for few tokens making its pages takes five times as long as
    multiplying.
    """
    parts = matrix.split(max(1, _CONVERTED_WEIGHTS // len(matrix)), dim=1)
    products = [values @ part.to(torch.float32) for part in parts]
    return products[0] if len(products) == 1 else torch.cat(products, dim=1)


class SimulatedProducts(ClearProducts):
    """`ClearProducts` of messages with the noise that encryption would add: ``fhe="simulate"``.

    Messages are rounded as for encryption, and noise is added to them before they are multiplied, as a worker
    multiplies it: the noises of a token's outputs are correlated as those of an encrypted product are. They are drawn
    from the normal distribution of their variance.

    Parameters
    ----------
    parameters : LWEParameters
        The parameters of the encryption that is simulated.
    generator : torch.Generator
        The generator of the noise, which protects nothing here.
    download_bits : {24, 16}, default=24
        Bits of a value of the responses that are simulated.
    """

    def __init__(self, parameters: LWEParameters, generator: torch.Generator, download_bits: int = 24):
        self.noise = NoiseModel(parameters, download_bits)
        self.generator = generator

    def _multiply(self, layer, direction, values, output_scales):
        norms = layer.norms[direction]
        scales = scales_of(lengths_of(values), self.noise.largest_scale(norms))
        messages = (values * scales[:, None]).round_()
        noise = torch.randn(values.shape, generator=self.generator, device=values.device)
        messages.add_(noise, alpha=self.noise.simulated_deviation(norms))
        return super()._multiply(layer, direction, messages * inverse_scales(scales)[:, None], output_scales)


class EncryptedProducts(_QuantizedProducts):
    """Workers multiply ciphertexts: ``fhe="execute"``.

    Parameters
    ----------
    client : LWEClient
    pool : WorkerPool
    hints : HintCache
    costs : Costs
    """

    def __init__(self, client: LWEClient, pool: WorkerPool, hints: HintCache, costs: Costs):
        self.client = client
        self.pool = pool
        self.hints = hints
        self.costs = costs

    def _multiply(self, layer, direction, values, output_scales):
        spectra = self._hint_spectra(layer, direction)
        with self.costs.crypto():
            ciphertexts, secrets = self.client.encrypt(values, layer.norms[direction])
        response = self.pool.multiply(layer, direction, ciphertexts, self.client.noise.download_bits)
        with self.costs.crypto():
            return self.client.decrypt(response, secrets, spectra, output_scales)

    def _hint_spectra(self, layer: FrozenLayer, direction: str) -> torch.Tensor:
        def fetch() -> torch.Tensor:
            hint = self.pool.hint(layer, direction, self.client.seed, self.client.parameters)
            with self.costs.crypto():
                return self.client.hint_spectra(hint)

        return self.hints.get(f"{layer.name}/{direction}", fetch)
