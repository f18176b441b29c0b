"""A tensor between client and worker, as parts that are sent one after the other: nothing is copied to pack it.

A message is ``magic | version | header length | digest | header (JSON) | tensor``; the header is padded with spaces, so
that the tensor begins at a multiple of 64 bytes.

The digest is the SHA-256 of the header and of the tensor's *sums*: of every 4 KiB, that of its 64-bit words modulo
2^64, and what is left over as it is. It finds accidents (truncation, flipped bits) at the pace of memory, where a
SHA-256 of gigabytes took longer than sending them. Malice it does not find, nor would a SHA-256 without a key: that is
for TLS, and for the client's check vectors. What it is for is blame: damage on the way is an error of the transport, so
that no check vectors are used up for it and no worker is taken for a liar.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from typing import Any

import numpy as np
import torch

from ..backends.messages import unpack_message
from ..exceptions import ProtocolError

_MAGIC = b"FHET"
_VERSION = 1
_PREFIX = struct.Struct("<4sHI")
_DIGEST_BYTES = 32
_ALIGNMENT = 64
_MAX_HEADER_BYTES = 1 << 14
_PIECE_WORDS = 512
_MAX_AXES = 3
_DTYPES = {"int8": torch.int8, "int32": torch.int32}


def tensor_parts(kind: str, tensor: torch.Tensor, **header: Any) -> list[bytes | memoryview]:
    """The parts of a message of a kind that holds a tensor of int8 or int32, which must not change until it is sent."""
    content = tensor.contiguous().cpu().reshape(-1).view(torch.uint8).numpy().data.toreadonly()
    described = {**header, "shape": list(tensor.shape), "dtype": str(tensor.dtype).removeprefix("torch.")}
    text = json.dumps({"kind": kind, **described}).encode()
    text += b" " * (-(_PREFIX.size + _DIGEST_BYTES + len(text)) % _ALIGNMENT)
    return [_PREFIX.pack(_MAGIC, _VERSION, len(text)) + _digest(text, content) + text, content]


def unpack_tensor(kind: str, message: bytes | bytearray | memoryview) -> tuple[torch.Tensor, dict[str, Any]]:
    """The tensor, and what else the header says; `ProtocolError` if it is not an intact message of that kind.

    The tensor of a `bytearray` is a view of it. Messages of protocol versions 1 and 2, with a SHA-256 of all, are read
    as well.
    """
    view = memoryview(message)
    header, content = _split(kind, view) if is_fast(message) else _split_old(kind, view)
    shape, dtype = header.get("shape"), str(header.get("dtype"))
    if not isinstance(shape, list) or len(shape) > _MAX_AXES or not all(type(n) is int and n > 0 for n in shape):
        raise ProtocolError(f"The {kind} is malformed: it has no shape.")
    if dtype not in _DTYPES:
        raise ProtocolError(f"The {kind} is malformed: it holds no tensor.")
    if math.prod(shape) * _DTYPES[dtype].itemsize != len(content):
        raise ProtocolError(f"The {kind} is malformed: its shape does not fit its size.")
    array = np.frombuffer(content, dtype=dtype).reshape(shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy()), header


def is_fast(message: bytes | bytearray | memoryview) -> bool:
    """Whether a message is of the form of `tensor_parts`, not of that of earlier protocol versions."""
    return bytes(memoryview(message)[:4]) == _MAGIC


def _split(kind: str, view: memoryview) -> tuple[dict[str, Any], memoryview]:
    start = _PREFIX.size + _DIGEST_BYTES
    if len(view) < start:
        raise ProtocolError(f"The {kind} is truncated.")
    _, version, header_bytes = _PREFIX.unpack(view[: _PREFIX.size])
    if version != _VERSION or header_bytes > min(len(view) - start, _MAX_HEADER_BYTES):
        raise ProtocolError(f"The {kind} is malformed, or of another format version than {_VERSION}.")
    text, content = bytes(view[start : start + header_bytes]), view[start + header_bytes :]
    if _digest(text, content) != bytes(view[_PREFIX.size : start]):
        raise ProtocolError(f"The {kind} is truncated or was altered: its checksum does not match.")
    try:
        header = json.loads(text)
        found = header.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"The header of the {kind} is malformed.") from error
    if found != kind:
        raise ProtocolError(f"Expected a message of kind {kind!r}, got {str(found)[:40]!r}.")
    return header, content


def _split_old(kind: str, view: memoryview) -> tuple[dict[str, Any], memoryview]:
    header, blobs = unpack_message(kind, view)  # type: ignore[arg-type]
    if len(blobs) != 1:
        raise ProtocolError(f"The {kind} is malformed: it holds no tensor.")
    return header, blobs[0]


def _digest(text: bytes, content: memoryview) -> bytes:
    n_pieces = len(content) // (8 * _PIECE_WORDS)
    words = np.frombuffer(content, dtype="<u8", count=n_pieces * _PIECE_WORDS)
    digest = hashlib.sha256(text)
    digest.update(words.reshape(n_pieces, _PIECE_WORDS).sum(axis=1, dtype=np.uint64).tobytes())
    digest.update(content[8 * _PIECE_WORDS * n_pieces :])
    return digest.digest()
