"""Encrypted activations times clear weights: worker, client and its roofline, error and a peer.

``python -m benchmarks.linear [--repeat 15] [--peer] [--device cpu] [--markdown] [--json FILE]``
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from fhe_estimators.backends.lwe import WeightNorms, select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.client.verification import ProductCheck
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS

from . import _client_roofline
from ._report import aligned, describe_machine, describe_products, machine, markdown, size
from .peers import run_peer

SHAPES = ((1024, 576, 576), (1024, 576, 1536), (1024, 2048, 2048), (1024, 2048, 8192))
CUDA_SHAPES = ((2048, 2048, 8192), (8192, 2048, 8192))


class Layer:
    """A random layer, compiled for encrypted products."""

    def __init__(self, n_tokens: int, n_inputs: int, n_outputs: int, parameters: str, device: str):
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.randn(n_outputs, n_inputs, generator=generator)
        self.inputs = torch.randn(n_tokens, n_inputs, generator=generator).to(device)
        integers, scales = LINEAR_QUANTIZERS["int8"].quantize_weights(self.weights)
        self.weights, self.scales = self.weights.to(device), scales.to(device)
        self.matrix = integers.to(device).T
        self.norms = WeightNorms.of(self.matrix)
        self.client = LWEClient(select_parameters(n_tokens, name=parameters), device=device)
        self.check = ProductCheck(self.matrix)

    def response(self, ciphertexts: torch.Tensor) -> torch.Tensor:
        return multiply(ciphertexts, self.matrix)


def median_seconds(function: Callable[[], Any], repeat: int, prepare: Callable[[], Any] = lambda: None) -> float:
    """Median of the runs after the first; ``prepare`` makes what a run uses up."""
    runs = []
    for _ in range(repeat + 1):
        argument = prepare()
        _synchronize()
        start = time.perf_counter()
        function() if argument is None else function(argument)
        _synchronize()
        runs.append(time.perf_counter() - start)
    return statistics.median(runs[1:])


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def measure_layer(shape: tuple[int, int, int], parameters: str, repeat: int, device: str) -> dict[str, Any]:
    """Worker, clear layer and client, in one run."""
    n_tokens, n_inputs, n_outputs = shape
    layer = Layer(*shape, parameters, device)
    client, inputs = layer.client, layer.inputs
    start = time.perf_counter()
    hint = compute_hint(layer.matrix, client.seed, client.parameters)
    hint_seconds = time.perf_counter() - start
    spectra = client.hint_spectra(hint)
    ciphertexts, secrets = client.encrypt(inputs, layer.norms)
    response = layer.response(ciphertexts)
    outputs = client.decrypt(response, secrets, spectra, layer.scales)
    exact = inputs.double() @ layer.matrix.double() * layer.scales
    half, halves = layer.weights.bfloat16(), inputs.bfloat16()

    def fresh() -> Any:
        return client.encrypt(inputs, layer.norms)[1]

    values_up, values_down = n_tokens * n_inputs, n_tokens * n_outputs
    return {
        "shape": shape,
        "parameters": parameters,
        "worker_seconds": median_seconds(lambda: layer.response(ciphertexts), repeat),
        "float32_seconds": median_seconds(lambda: torch.nn.functional.linear(inputs, layer.weights), repeat),
        "bfloat16_seconds": median_seconds(lambda: torch.nn.functional.linear(halves, half), repeat),
        "encrypt_ns": 1e9 * median_seconds(lambda: client.encrypt(inputs, layer.norms), repeat) / values_up,
        "decrypt_ns": 1e9
        * median_seconds(lambda s: client.decrypt(response, s, spectra, layer.scales), repeat, fresh)
        / values_down,
        "verify_ns": 1e9
        * median_seconds(lambda: layer.check.accepts(ciphertexts, response), repeat)
        / (values_up + values_down),
        "upload_bytes_per_value": ciphertexts.nbytes / values_up,
        "download_bytes_per_value": response.nbytes / values_down,
        "hint_seconds": hint_seconds,
        "hint_bytes": spectra.nbytes,
        "relative_error": float((outputs - exact).norm() / exact.norm()),
    }


def layer_row(result: dict[str, Any]) -> list[str]:
    """One row of the first table."""
    tokens, n_inputs, n_outputs = result["shape"]
    return [
        f"{tokens:,} x {n_inputs:,} x {n_outputs:,}",
        result["parameters"],
        *(f"{1e3 * result[f'{name}_seconds']:.1f}" for name in ("worker", "float32", "bfloat16")),
        f"{result['worker_seconds'] / result['float32_seconds']:.2f}",
        *(f"{result[f'{name}_ns']:.1f}" for name in ("encrypt", "decrypt", "verify")),
        f"{result['upload_bytes_per_value']:.1f} / {result['download_bytes_per_value']:.1f}",
        size(result["hint_bytes"]),
        f"{result['relative_error']:.1e}",
    ]


LAYER_HEADER = (
    *("tokens x in x out", "parameters", "worker ms", "float32 ms", "bfloat16 ms", "ratio to float32"),
    *("encrypt ns", "decrypt ns", "verify ns", "bytes up / down", "hint", "error"),
)


def real_activations() -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Inputs and weights of the layers of two blocks of SmolLM2 on text."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from fhe_estimators.datasets import fetch_smollm2

    from .data._language import jargon_file

    folder = fetch_smollm2()
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(" ".join(jargon_file()[:30]), return_tensors="pt")["input_ids"][:, :1024]
    names = [
        name
        for name, module in model.model.named_modules()
        if isinstance(module, torch.nn.Linear) and name.split(".")[1] in ("0", "15", "29")
    ]
    seen: dict[str, torch.Tensor] = {}
    for name in names:
        model.model.get_submodule(name).register_forward_pre_hook(
            lambda _, inputs, name=name: seen.__setitem__(name, inputs[0].reshape(-1, inputs[0].shape[-1]))
        )
    with torch.no_grad():
        model(ids)
    return [seen[name] for name in names], [model.model.get_submodule(name).weight.detach() for name in names], names


def measure_errors() -> list[list[str]]:
    """Relative errors of a layer's outputs on real activations, against the same integer weights."""
    rows = []
    for inputs, weights, name in zip(*real_activations(), strict=True):
        integers, scales = LINEAR_QUANTIZERS["int8"].quantize_weights(weights)
        exact = inputs.double() @ (integers.double() * scales[:, None]).T
        errors = []
        for parameters in ("fast", "precise"):
            client, matrix = LWEClient(select_parameters(1024, name=parameters)), integers.T
            ciphertexts, secrets = client.encrypt(inputs, WeightNorms.of(matrix))
            spectra = client.hint_spectra(compute_hint(matrix, client.seed, client.parameters))
            errors.append(client.decrypt(multiply(ciphertexts, matrix), secrets, spectra, scales) - exact)
        for scheme in ("int8-dynamic-token", "int8-dynamic-tensor"):
            rounded = LINEAR_QUANTIZERS[scheme].quantize_inputs(inputs).double()
            errors.append(rounded @ (integers.double() * scales[:, None]).T - exact)
        rows.append([name, *(f"{float(error.norm() / exact.norm()):.1e}" for error in errors)])
    return rows


ERROR_HEADER = ("layer of SmolLM2", "lwe fast", "lwe precise", "8 bits a token", "8 bits a tensor")


def measure_peer(repeat: int) -> list[list[str]]:
    """Our figures beside those of concrete-ml-extensions, for one token (and ours for 1,024)."""
    rows = []
    for n_tokens in (1, 1024):
        layer = Layer(n_tokens, 2048, 2048, "fast", "cpu")
        client = layer.client
        start = time.perf_counter()
        spectra = client.hint_spectra(compute_hint(layer.matrix, client.seed, client.parameters))
        client.prepare(2048)
        setup = time.perf_counter() - start
        ciphertexts, secrets = client.encrypt(layer.inputs, layer.norms)
        response = layer.response(ciphertexts)
        encrypt = median_seconds(lambda layer=layer: layer.client.encrypt(layer.inputs, layer.norms), repeat)
        worker = median_seconds(lambda layer=layer, ciphertexts=ciphertexts: layer.response(ciphertexts), repeat)
        start = time.perf_counter()
        client.decrypt(response, secrets, spectra, layer.scales)
        decrypt = time.perf_counter() - start
        cells = (setup, encrypt, worker, decrypt)
        rows.append(
            [
                "fhe_estimators lwe",
                f"{n_tokens:,}",
                *(f"{c:.4f}" for c in cells),
                size(spectra.nbytes),
                size(ciphertexts.nbytes),
                size(response.nbytes),
            ]
        )
    peer = run_peer("glwe_linear", "1", "2048", "2048")
    cells = [peer[f"{phase}_seconds"] for phase in ("keygen", "encrypt", "multiply", "decrypt")]
    sizes = [size(peer[f"{what}_bytes"]) for what in ("key", "upload", "download")]
    rows.append(["concrete-ml-extensions 0.2.0", "1", *(f"{c:.4f}" for c in cells), *sizes])
    estimate = [f"{peer['keygen_seconds']:.4f}", *(f"{1024 * c:.0f} (x 1,024)" for c in cells[1:])]
    sizes = [sizes[0], *(size(1024 * peer[f"{what}_bytes"]) for what in ("upload", "download"))]
    rows.append(["concrete-ml-extensions 0.2.0, extrapolated", "1,024", *estimate, *sizes])
    return rows


PEER_HEADER = (
    *("2,048 x 2,048", "tokens", "keys or hints s", "encrypt s", "multiply s", "decrypt s"),
    *("keys or hints", "upload", "download"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linear", description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-errors", action="store_true", help="leave out the errors on SmolLM2's activations")
    parser.add_argument("--peer", action="store_true", help="run concrete-ml-extensions too (makes an environment)")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    table = markdown if options.markdown else aligned
    shapes = SHAPES if options.device == "cpu" else CUDA_SHAPES
    layers = [
        measure_layer(shape, parameters, options.repeat, options.device)
        for shape in shapes
        for parameters in ("fast", "precise")
    ]
    print(table(LAYER_HEADER, [layer_row(result) for result in layers]))
    if options.device == "cpu":
        print()
        print(table(_client_roofline.HEADER, _client_roofline.rows(options.repeat)))
    if not options.no_errors:
        print("\nRelative error of encrypted layers on real activations, beside 8-bit dynamic quantization:\n")
        print(table(ERROR_HEADER, measure_errors()))
    if options.peer:
        print()
        print(table(PEER_HEADER, measure_peer(options.repeat)))
    print(f"\nMedians of {options.repeat} runs, {describe_products(options.device)}. {describe_machine()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "layers": layers}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
