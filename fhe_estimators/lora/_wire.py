"""Tensors as messages between client and workers: raw numbers behind a JSON header, no pickle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..backends._messages import pack_message, unpack_message
from ..exceptions import ProtocolError

_DTYPES = {"int8": torch.int8, "int32": torch.int32}


def pack_tensor(kind: str, tensor: torch.Tensor, **header: Any) -> bytes:
    """A message of a kind that holds a tensor of int8 or int32."""
    array = tensor.contiguous().cpu().numpy()
    header = {**header, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
    return pack_message(kind, header, [array.tobytes()])


def unpack_tensor(kind: str, message: bytes) -> tuple[torch.Tensor, dict[str, Any]]:
    """The tensor, and what else the header says; `ProtocolError` if it is not an intact message of that kind."""
    header, blobs = unpack_message(kind, message)
    shape, dtype = header.get("shape"), str(header.get("dtype"))
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ProtocolError(f"The {kind} is malformed: it has no shape.")
    if dtype not in _DTYPES or len(blobs) != 1:
        raise ProtocolError(f"The {kind} is malformed: it holds no tensor.")
    if math.prod(shape) * _DTYPES[dtype].itemsize != len(blobs[0]):
        raise ProtocolError(f"The {kind} is malformed: its shape does not fit its size.")
    array = np.frombuffer(blobs[0], dtype=dtype).reshape(shape)
    return torch.from_numpy(array.copy()), header
