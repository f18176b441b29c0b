"""Encrypted linear layers: worker, client, and the layer in float32 beside them."""

from __future__ import annotations

import torch

from fhe_estimators.backends.lwe import WeightNorms, select_parameters
from fhe_estimators.backends.lwe.client.encryption import LWEClient
from fhe_estimators.backends.lwe.worker import compute_hint, multiply
from fhe_estimators.quantizers.linear import LINEAR_QUANTIZERS


class Linear:
    """A random layer and a batch of tokens."""

    params = ([(1024, 576, 576), (1024, 2048, 2048)], ["fast", "precise"])
    param_names = ("tokens_inputs_outputs", "parameters")
    timeout = 300

    def setup(self, shape: tuple[int, int, int], parameters: str) -> None:
        n_tokens, n_inputs, n_outputs = shape
        generator = torch.Generator().manual_seed(0)
        self.weights = torch.randn(n_outputs, n_inputs, generator=generator)
        self.inputs = torch.randn(n_tokens, n_inputs, generator=generator)
        integers, self.scales = LINEAR_QUANTIZERS["int8"].quantize_weights(self.weights)
        self.matrix = integers.T
        self.norms = WeightNorms.of(self.matrix)
        self.client = LWEClient(select_parameters(n_tokens, name=parameters))
        hint = compute_hint(self.matrix, self.client.seed, self.client.parameters)
        self.spectra = self.client.hint_spectra(hint)
        self.ciphertexts, self.secrets = self.client.encrypt(self.inputs, self.norms)
        self.response = multiply(self.ciphertexts, self.matrix)

    def time_worker(self, shape: tuple[int, int, int], parameters: str) -> None:
        multiply(self.ciphertexts, self.matrix)

    def time_float32_layer(self, shape: tuple[int, int, int], parameters: str) -> None:
        torch.nn.functional.linear(self.inputs, self.weights)

    def time_encrypt_and_decrypt(self, shape: tuple[int, int, int], parameters: str) -> None:
        _, secrets = self.client.encrypt(self.inputs, self.norms)  # a secret decrypts once
        self.client.decrypt(self.response, secrets, self.spectra, self.scales)
