"""The workers' protocol: what a worker answers, tensors as messages, paths and version of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from ..backends.lwe.parameters import LWEParameters
from ..backends.messages import pack_message

#: 2: responses of 16 bits; workers of version 1 are asked for all 24. 3: `tensor_messages`; the earlier are understood.
PROTOCOL_VERSION = 3
SUPPORTED_VERSIONS = (1, 2, PROTOCOL_VERSION)
LAYERS_PATH = "/v1/layers"
PRODUCTS_PATH = "/v1/products"
HINTS_PATH = "/v1/hints"
#: Bytes of a message besides its tensor, at most.
MESSAGE_OVERHEAD_BYTES = 1 << 14


class Worker(Protocol):
    """What a client asks of a worker, here or over the network.

    Attributes
    ----------
    name : str
        The name that errors and logs show.
    """

    name: str

    def digests(self) -> dict[str, str]:
        """Digest of the weights of every layer it holds, by the layer's name."""

    def multiply(
        self, layer: str, direction: str, ciphertexts: torch.Tensor, *, download_bits: int = 24
    ) -> tuple[torch.Tensor, float]:
        """Product of ciphertexts and a layer's weights, or its upper 16 bits, and the seconds it took the worker."""

    def hint(self, layer: str, direction: str, seed: bytes, parameters: LWEParameters) -> torch.Tensor:
        """Product of the run's public matrix and a layer's weights."""

    def expect(self, n_outputs: Mapping[tuple[str, str], int]) -> None:
        """Learn the numbers of outputs by layer and direction, which bound the responses; told once, at the start."""


def pack_tensor(kind: str, tensor: torch.Tensor, **header: Any) -> bytes:
    """A message of protocol versions 1 and 2, of a kind that holds a tensor of int8 or int32, in one piece."""
    array = tensor.contiguous().cpu().numpy()
    header = {**header, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
    return pack_message(kind, header, [array.tobytes()])
