"""The noise of ``fhe="simulate"`` is that of an encrypted product, its correlations included."""

import pytest
import torch

from fhe_estimators.backends.lwe import select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.lora.client import products
from fhe_estimators.lora.client.frozen_layer import FrozenLayer
from fhe_estimators.lora.client.products import ClearProducts, SimulatedProducts
from fhe_estimators.lora.model.weights import BACKWARD, FORWARD, oriented
from fhe_estimators.quantizers.linear import resolve_linear_quantizer

N_TOKENS, N_INPUTS, N_OUTPUTS = 256, 96, 6


def layer_of(weight_quantizer):
    """The second output is the first, the third its negative."""
    weights = torch.randn(N_OUTPUTS, N_INPUTS, generator=torch.Generator().manual_seed(0))
    weights[1], weights[2] = weights[0], -weights[0]
    return FrozenLayer.quantized("layer", weights, resolve_linear_quantizer(weight_quantizer))


def encrypted(parameters, layer, direction, values, output_scales):
    matrix, client = oriented(layer.weights, direction), LWEClient(parameters)
    ciphertexts, secrets = client.encrypt(values, layer.norms[direction])
    hint = client.hint_spectra(compute_hint(matrix.contiguous(), client.seed, parameters))
    return client.decrypt(multiply(ciphertexts, matrix), secrets, hint, output_scales)


def noises(name, layer, direction):
    """Noise of simulation and of encryption, a row for each token, relative to the tokens' lengths."""
    parameters = select_parameters(N_TOKENS, name=name)
    simulated = SimulatedProducts(parameters, torch.Generator().manual_seed(1))
    n_values = layer.weights.shape[1] if direction == FORWARD else layer.weights.shape[0]
    values = torch.randn(N_TOKENS, n_values, generator=torch.Generator().manual_seed(2))
    output_scales = layer.scales if direction == FORWARD else torch.ones(layer.n_inputs)
    arguments = layer, direction, values, output_scales
    exact = values.double() @ oriented(layer.weights, direction).double() * output_scales
    found = [simulated._multiply(*arguments), encrypted(parameters, *arguments)]
    return [(products - exact) / values.norm(dim=1, keepdim=True) for products in found]


@pytest.mark.parametrize("name", ["fast", "precise"])
@pytest.mark.parametrize("direction", [FORWARD, BACKWARD])
@pytest.mark.parametrize("weight_quantizer", ["int8", "int16"])
def test_covariances_of_outputs_are_those_of_encryption(name, direction, weight_quantizer):
    layer = layer_of(weight_quantizer)
    simulated, executed = (noise.double() for noise in noises(name, layer, direction))
    expected = executed.std(dim=0)
    assert torch.allclose(simulated.std(dim=0), expected, rtol=0.35)
    assert float((simulated.std(dim=0) / expected).mean()) == pytest.approx(1, abs=0.12)
    assert (torch.corrcoef(simulated.T) - torch.corrcoef(executed.T)).abs().max() < 6 * (2 / N_TOKENS) ** 0.5


@pytest.mark.parametrize("name", ["fast", "precise"])
def test_equal_outputs_get_equal_noise(name):
    for noise in noises(name, layer_of("int8"), FORWARD):
        assert (noise[:, 0] - noise[:, 1]).std() < 0.1 * noise[:, 0].std()
        assert (noise[:, 0] + noise[:, 2]).std() < 0.1 * noise[:, 0].std()


def test_tokens_of_zeros_get_no_noise():
    layer = layer_of("int8")
    products = SimulatedProducts(select_parameters(4), torch.Generator().manual_seed(1))
    values = torch.zeros(4, N_INPUTS)
    values[1] = 1
    found = products._multiply(layer, FORWARD, values, layer.scales)
    assert not found[[0, 2, 3]].any() and found[1].all()


@pytest.mark.parametrize("direction", [FORWARD, BACKWARD])
@pytest.mark.parametrize("n_weights", [1, 200, 1000])
def test_weights_are_converted_in_parts(direction, n_weights, monkeypatch):
    monkeypatch.setattr(products, "_CONVERTED_WEIGHTS", n_weights)
    layer = layer_of("int8")
    matrix = oriented(layer.weights, direction)
    values = torch.randint(-100, 100, (3, len(matrix))).float()  # sums of integers are exact, whatever their order
    found = ClearProducts()._multiply(layer, direction, values, torch.ones(matrix.shape[1]))
    assert torch.equal(found, values @ matrix.float())
