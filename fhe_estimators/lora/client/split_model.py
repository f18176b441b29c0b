"""A model whose linear layers were taken out: what `HELoRAFineTuner.compile` makes."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from ...backends.lwe import LWEBackend, LWEParameters
from ...backends.lwe.client.encryption import LWEClient
from ...backends.lwe.parameters import KEY_BYTES
from ...quantizers.linear import LinearQuantizer
from ...utils import check_fhe_mode
from ..costs import Costs
from ..model.groups import find_groups
from ..model.outliers import WARNED_ERROR
from ..protocol import Worker
from ..worker.worker import LocalWorker
from .frozen_layer import FrozenLayer
from .heads import fresh_parts
from .pool import WorkerPool
from .products import ClearProducts, EncryptedProducts, SimulatedProducts
from .remote_linear import Products, RemoteGroup
from .splitting import remote_groups, take_out
from .start_adapter import StartAdapter


class CompiledModel:
    """The client's part of a model, and the ways to compute the rest.

    Parameters
    ----------
    model : PreTrainedModel
        The model, with its linear layers replaced.
    backend : LWEBackend
    parameters : LWEParameters
    workers : sequence of Worker, or None
        None for one in this process.
    device : str
    start : StartAdapter or None
        The adapter that the model came with.
    """

    def __init__(
        self,
        model: Any,
        backend: LWEBackend,
        parameters: LWEParameters,
        workers: Sequence[Worker] | None,
        device: str,
        start: StartAdapter | None = None,
    ):
        self.start = start
        self.model = model.to(device)
        self.backend = backend
        self.parameters = parameters
        self.device = device
        self.costs = Costs()
        self.layers = [group.layer for group in self.groups()]
        self.vocabulary_size = int(model.get_input_embeddings().num_embeddings)
        self._workers = workers
        self._pool: WorkerPool | None = None
        self._encrypted: EncryptedProducts | None = None
        self._answer_in_the_clear()

    def _answer_in_the_clear(self) -> None:
        """Let the model be used as it is, until it is said who multiplies."""
        if self.has_weights:
            self.use("disable")

    def groups(self) -> list[RemoteGroup]:
        """Groups of remote modules, in the order of the model."""
        return remote_groups(self.model)

    def use(self, fhe: str, *, seed: int = 0) -> None:
        """Choose who multiplies: ``"disable"``, ``"simulate"`` or ``"execute"``."""
        products = self._products(fhe, seed)
        for group in self.groups():
            group.products = products

    def _products(self, fhe: str, seed: int) -> Products:
        check_fhe_mode(fhe)
        if fhe == "disable":
            return ClearProducts()
        if fhe == "simulate":
            generator = torch.Generator(device=self.device).manual_seed(seed)
            return SimulatedProducts(self.parameters, generator, self.backend.download_bits)
        if self._encrypted is None:
            client = LWEClient(self.parameters, device=self.device, download_bits=self.backend.download_bits)
            self._encrypted = EncryptedProducts(client, self.pool(), self.backend.hint_cache(), self.costs)
        return self._encrypted

    def pool(self) -> WorkerPool:
        """The workers, asked once what they hold; whoever is caught stays out of it."""
        if self._pool is None:
            self._pool = WorkerPool(self.workers(), self.layers, self.costs)
        return self._pool

    def workers(self) -> Sequence[Worker]:
        """Those given, or one in this process."""
        if self._workers is not None:
            return self._workers
        weights = {layer.name: layer.weights for layer in self.layers if layer.weights is not None}
        return [LocalWorker(weights, device=self.device, product=self.backend.product)]

    @property
    def verify_bits(self) -> int:
        """Soundness of the checks of every response; 0 if any layer's are not checked."""
        return min(0 if layer.checks is None else layer.checks.verify_bits for layer in self.layers)

    def __getstate__(self) -> dict[str, Any]:
        # Hints and connections are made anew; secrets have no place in a pickle.
        return {**vars(self), "_pool": None, "_encrypted": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._answer_in_the_clear()

    @property
    def has_weights(self) -> bool:
        """Whether the client holds the frozen weights as well."""
        return all(layer.weights is not None for layer in self.layers)

    def _n_own_weights(self) -> int:
        """Weights of the model that stay with the client: embeddings, norms, experts and the head, no adapters."""
        trained = ("lora_", ".modules_to_save.", "trainable_tokens")
        frozen = (p for name, p in self.model.named_parameters() if not any(word in name for word in trained))
        return sum(parameter.numel() for parameter in frozen)

    def describe(self) -> dict[str, Any]:
        """Parameters, sizes and what each side learns.

        ``"verified"`` is the soundness of the checks in bits, ``"remote_share"`` that of the model's weights that
        workers multiply by: embeddings, norms, the head and experts stay with the client. ``"rounding_errors"`` says
        by layer what rounding the weights changes, relative to typical weights of their rows, and
        ``"n_outlier_columns"`` how many columns of weights the client multiplies itself, in floating point, since they
        would spoil the rounding of all others.
        """
        coefficients = sum(len(norms.euclidean) for layer in self.layers for norms in layer.norms.values())
        n_weights = sum(len(layer.scales) * layer.n_inputs for layer in self.layers)
        return {
            "scheme": "module-LWE, clear int8 weights times ciphertexts",
            "security_bits": int(self.parameters.security_bits),
            "dimension": self.parameters.dimension,
            "modulus_bits": self.parameters.modulus_bits,
            "ring_degree": self.parameters.ring_degree,
            "n_remote_layers": len(self.layers),
            "n_remote_weights": n_weights,
            "remote_share": n_weights / (n_weights + self._n_own_weights()),
            "upload_bytes_per_value": 3,
            "download_bytes_per_value": self.backend.download_bits // 8,
            "hint_bytes": 4 * self.parameters.dimension * coefficients,
            "public_seed_bytes": KEY_BYTES,
            "rounding_errors": {layer.name: layer.rounding_error for layer in self.layers},
            "n_outlier_columns": sum(
                len(layer.outliers.columns) for layer in self.layers if layer.outliers is not None
            ),
            "verified": self.verify_bits,
            "client_learns": "everything it computes; the model's architecture, its embeddings, norms and head, and "
            "the scales and norms of the remote weights",
            "worker_learns": "numbers of tokens and features, and timing; nothing about texts, activations, "
            "gradients, adapters or losses",
        }


def compile_model(
    model: PreTrainedModel, quantizer: LinearQuantizer, *, verify_bits: int | None, progress: Any = iter
) -> PreTrainedModel:
    """Take the linear layers out of a model, in place; ``progress`` wraps the loop over them.

    ``verify_bits`` is the soundness of the checks of workers; None checks nothing.
    """
    backbone = model.base_model
    for paths in progress(find_groups(backbone, fresh_parts(model))):
        layer = take_out(backbone, paths, quantizer)
        if verify_bits is not None:
            layer.add_checks(verify_bits)
    return model


def warn_of_rounding(program: CompiledModel) -> None:
    """Name the layers whose weights rounding changes much."""
    coarse = [layer for layer in program.layers if layer.rounding_error > WARNED_ERROR]
    if coarse:
        worst = max(coarse, key=lambda layer: layer.rounding_error)
        advice = "" if worst.quantizer.n_limbs > 1 else " Use weight_quantizer='int16' for 16 bits."
        warnings.warn(
            f"Rounding changes the weights of {len(coarse)} of {len(program.layers)} layers by more than "
            f"{WARNED_ERROR:.0%}, most in {worst.name}: {worst.rounding_error:.0%} of typical weights; "
            f"program_.describe()['rounding_errors'] has them all.{advice}",
            RuntimeWarning,
            stacklevel=3,
        )


def warn_of_experts(program: CompiledModel) -> None:
    """Say how much is left to the client, if the model is a mixture of experts: most of it."""
    experts = [parameter.numel() for name, parameter in program.model.named_parameters() if ".experts." in name]
    if experts:
        share = program.describe()["remote_share"]
        warnings.warn(
            f"The model's experts ({sum(experts)} weights) stay with the client, which computes them itself: "
            f"{share:.0%} of the model's weights are remote.",
            RuntimeWarning,
            stacklevel=3,
        )


def require_checks(layers: Iterable[FrozenLayer], verify_bits: int | None) -> None:
    """Use the checks that a split model was stored with, or fail: they cannot be made without the weights.

    ``verify_bits`` None leaves them out.
    """
    for layer in layers:
        if verify_bits is None:
            layer.checks = None
        elif layer.weights is not None:
            layer.add_checks(verify_bits)
        elif layer.checks is None:
            raise ValueError(
                "verify=True, but the model was split without check vectors (--no-verify), and the client has no "
                "weights to make them from. Split it again, or pass verify=False to believe the workers."
            )
        elif layer.checks.verify_bits < verify_bits:
            raise ValueError(
                f"verify_bits={verify_bits}, but the model was split with {layer.checks.verify_bits} bits. Split it "
                f"again with --verify-bits {verify_bits}, or ask for {layer.checks.verify_bits}."
            )
        else:
            layer.checks.require()


def calibrate(compiled: CompiledModel, batches: Iterable[Any]) -> None:
    """Record the largest input of every layer, for static quantization."""

    class Recorder(ClearProducts):
        def forward(self, layer: FrozenLayer, inputs: torch.Tensor) -> torch.Tensor:
            largest = float(inputs.abs().amax())
            layer.static_largest = max(layer.static_largest or 0.0, largest)
            return super().forward(layer, inputs)

    recorder = Recorder()
    for group in compiled.groups():
        group.products = recorder
    with torch.no_grad():
        for batch in batches:
            compiled.model(**batch.inputs(compiled.device), use_cache=False)
