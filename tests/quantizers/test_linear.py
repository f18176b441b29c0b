import pytest
import torch

from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS, LinearQuantizer, resolve_linear_quantizer


def dequantized(quantizer, weights):
    integers, scales = quantizer.quantize_weights(weights)
    assert integers.dtype == torch.int8
    return (integers.float() * scales[:, None]).reshape(quantizer.n_limbs, *weights.shape).sum(dim=0)


@pytest.mark.parametrize(("name", "levels"), [("int8", 127), ("int16", 127 * 256 + 127)])
def test_weights_are_within_half_a_step_of_their_row(name, levels):
    weights = torch.randn(20, 50) * torch.logspace(-4, 4, 20)[:, None]
    weights[3] = 0
    step = weights.abs().amax(dim=1, keepdim=True) / levels
    error = (dequantized(LINEAR_QUANTIZERS[name], weights) - weights).abs()
    assert (error <= 0.5001 * step + 1e-7 * weights.abs()).all()


def test_one_scale_for_the_layer():
    weights = torch.randn(20, 50)
    _, scales = LINEAR_QUANTIZERS["int8-dynamic-tensor"].quantize_weights(weights)
    assert len(scales.unique()) == 1


@pytest.mark.parametrize("scheme", ["static-tensor", "dynamic-tensor", "dynamic-token"])
def test_inputs_have_255_levels(scheme):
    inputs = torch.randn(30, 40) * torch.logspace(-2, 2, 30)[:, None]
    found = LinearQuantizer(activations=scheme).quantize_inputs(inputs, static_largest=float(inputs.abs().max()))
    rows = found if scheme == "dynamic-token" else found.reshape(1, -1)
    for row, exact in zip(rows, inputs.reshape(rows.shape), strict=True):
        step = exact.abs().max() / 127
        torch.testing.assert_close(row / step, (row / step).round(), atol=1e-3, rtol=0)
        assert (row - exact).abs().max() <= 0.501 * step


def test_static_scale_clips():
    found = LinearQuantizer(activations="static-tensor").quantize_inputs(
        torch.tensor([[5.0, -0.5]]), static_largest=1.0
    )
    torch.testing.assert_close(found, torch.tensor([[1.0, -64 / 127]]))


def test_errors():
    with pytest.raises(ValueError, match="needs calibration"):
        LinearQuantizer(activations="static-tensor").quantize_inputs(torch.ones(1, 1))
    with pytest.raises(ValueError, match="NaN or infinite"):
        LinearQuantizer().quantize_weights(torch.tensor([[float("nan")]]))
    with pytest.raises(ValueError, match="weight_quantizer='int3' is unknown"):
        resolve_linear_quantizer("int3")
    assert resolve_linear_quantizer(LinearQuantizer(n_limbs=2)).n_limbs == 2
