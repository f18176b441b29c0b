"""The workers' protocol: what a worker answers, tensors as messages, paths and version of HTTP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch

from ..backends.lwe.parameters import LWEParameters
from ..backends.messages import pack_message, unpack_message
from ..exceptions import ProtocolError

#: 2: responses of 16 bits. Workers of version 1 are asked for all 24.
PROTOCOL_VERSION = 2
SUPPORTED_VERSIONS = (1, PROTOCOL_VERSION)
LAYERS_PATH = "/v1/layers"
PRODUCTS_PATH = "/v1/products"
HINTS_PATH = "/v1/hints"
#: Bytes of a message besides its tensor, at most.
MESSAGE_OVERHEAD_BYTES = 1 << 14

_MAX_AXES = 3
_DTYPES = {"int8": torch.int8, "int32": torch.int32}


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
    """A message of a kind that holds a tensor of int8 or int32."""
    array = tensor.contiguous().cpu().numpy()
    header = {**header, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
    return pack_message(kind, header, [array.tobytes()])


def unpack_tensor(kind: str, message: bytes | memoryview) -> tuple[torch.Tensor, dict[str, Any]]:
    """The tensor, and what else the header says; `ProtocolError` if it is not an intact message of that kind."""
    header, blobs = unpack_message(kind, message)  # type: ignore[arg-type]
    shape, dtype = header.get("shape"), str(header.get("dtype"))
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(type(n) is int and n > 0 for n in shape):
        raise ProtocolError(f"The {kind} is malformed: it has no shape.")
    if dtype not in _DTYPES or len(blobs) != 1:
        raise ProtocolError(f"The {kind} is malformed: it holds no tensor.")
    if math.prod(shape) * _DTYPES[dtype].itemsize != len(blobs[0]):
        raise ProtocolError(f"The {kind} is malformed: its shape does not fit its size.")
    array = np.frombuffer(blobs[0], dtype=dtype).reshape(shape)
    return torch.from_numpy(array.copy()), header
