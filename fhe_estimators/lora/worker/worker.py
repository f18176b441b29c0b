"""A worker: integer weights by layer, multiplied with whatever ciphertexts come. Holds no secrets."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch

from ...backends.lwe.parameters import CIPHERTEXT_BITS, LWEParameters
from ...backends.lwe.worker import compute_hint, multiply
from ...exceptions import ProtocolError, WorkerError
from ..model.weights import DIRECTIONS, oriented, weights_digest


class LocalWorker:
    """A worker in this process: what a server runs, and the default of a client without workers.

    Parameters
    ----------
    weights : dict of str to tensor of int8, shape (n_outputs, n_inputs)
        The integer weights by the layer's name.
    name : str, default="in-process"
        The name that errors and logs show.
    device : str, default="cpu"
        The device of the weights and the products.
    product : str, default="auto"
        The way to multiply integers, see `LWEBackend`.
    """

    def __init__(
        self,
        weights: dict[str, torch.Tensor],
        *,
        name: str = "in-process",
        device: str = "cpu",
        product: str = "auto",
    ):
        self.name = name
        self.product = product
        self._digests = {layer: weights_digest(matrix) for layer, matrix in weights.items()}
        self._weights = {layer: matrix.to(device) for layer, matrix in weights.items()}
        #: Rows and columns of the weights by layer.
        self.shapes_ = {layer: (len(matrix), matrix.shape[1]) for layer, matrix in weights.items()}

    def digests(self) -> dict[str, str]:
        """Digests of the weights that the worker holds.

        Returns
        -------
        digests : dict of str to str
            The digests by the layer's name.
        """
        return dict(self._digests)

    def n_outputs(self, layer: str, direction: str) -> int:
        """Outputs of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.

        Returns
        -------
        n_outputs : int
            Rows of the weights, or columns.
        """
        return self._matrix(layer, direction).shape[1]

    def expect(self, n_outputs: Mapping[tuple[str, str], int]) -> None:
        """Nothing to bound: responses do not leave the process.

        Parameters
        ----------
        n_outputs : mapping of (str, str) to int
            Outputs by layer and direction.
        """

    def multiply(
        self, layer: str, direction: str, ciphertexts: torch.Tensor, *, download_bits: int = CIPHERTEXT_BITS
    ) -> tuple[torch.Tensor, float]:
        """Ciphertexts times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
            Ciphertexts.
        download_bits : {24, 16}, default=24
            With 16, the lowest limb of the response is left out.

        Returns
        -------
        response : tensor of int8, shape (n_tokens, download_bits / 8, n_outputs)
            Ciphertexts of the product.
        seconds : float
            What the worker's arithmetic took.
        """
        start = time.perf_counter()
        matrix = self._matrix(layer, direction)
        if (
            ciphertexts.ndim != 3
            or ciphertexts.shape[1:] != (3, len(matrix))
            or ciphertexts.dtype != torch.int8
            or not len(ciphertexts)
        ):
            raise ProtocolError(
                f"Ciphertexts for {layer}/{direction} have shape {tuple(ciphertexts.shape)} of {ciphertexts.dtype}, "
                f"expected (n_tokens, 3, {len(matrix)}) of torch.int8."
            )
        response = multiply(ciphertexts.to(matrix.device), matrix, product=self.product, download_bits=download_bits)
        return response, time.perf_counter() - start

    def hint(self, layer: str, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """The public matrix of a run times the weights of a layer.

        Parameters
        ----------
        layer : str
            Its name.
        direction : {"forward", "backward"}
            The weights, or their transpose.
        seed : bytes
            The seed of the public matrix.
        parameters : LWEParameters
            The parameters of the encryption.

        Returns
        -------
        hint : tensor of int32, shape (n_outputs, rank, ring_degree)
            What the client unmasks products with.
        """
        return compute_hint(self._matrix(layer, direction), seed, parameters, product=self.product)

    def _matrix(self, layer: str, direction: str) -> torch.Tensor:
        if layer not in self._weights:
            raise WorkerError(f"Worker {self.name} does not hold layer {layer!r}.")
        if direction not in DIRECTIONS:
            raise ProtocolError(f"direction={direction!r} is unknown: use one of {DIRECTIONS}.")
        return oriented(self._weights[layer], direction)
