"""Framing of everything that crosses between client and server.

A message is ``magic | version | header length | header (JSON) | blobs | SHA-256 of all before``. It
holds data only: parsing it can run no code. The digest finds accidents (truncation, flipped bits);
it is no authentication, which is the transport's task.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from ..ensembles import Link, TreeEnsemble
from ..exceptions import KeyMismatchError, ProtocolError

_MAGIC = b"FHEM"
_PREFIX = struct.Struct("<4sHI")
#: Raised whenever an older reader would misread a newer message.
MESSAGE_VERSION = 1
_MAX_HEADER_BYTES = 1 << 26


def pack_message(kind: str, header: dict[str, Any], blobs: list[bytes]) -> bytes:
    """Serialize a message of a kind (``"request"``, ``"response"``, ``"evaluation_keys"``, ``"client_keys"``)."""
    text = json.dumps({"kind": kind, **header, "blob_bytes": [len(b) for b in blobs]}).encode()
    parts = [_PREFIX.pack(_MAGIC, MESSAGE_VERSION, len(text)), text, *blobs]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([*parts, digest.digest()])


def unpack_message(kind: str, message: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Header and blobs of a message; `ProtocolError` if it is not an intact message of that kind."""
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise ProtocolError(f"The {kind} must be bytes, got {type(message).__name__}.")
    view = memoryview(message)
    if len(view) < _PREFIX.size + 32 or bytes(view[:4]) != _MAGIC:
        raise ProtocolError(f"This is not a {kind} of fhe_estimators (or it is truncated).")
    _, version, header_bytes = _PREFIX.unpack(view[: _PREFIX.size])
    if version > MESSAGE_VERSION:
        raise ProtocolError(
            f"The {kind} has format version {version}; this installation reads up to {MESSAGE_VERSION}. "
            "Upgrade fhe_estimators."
        )
    if hashlib.sha256(view[:-32]).digest() != bytes(view[-32:]):
        raise ProtocolError(f"The {kind} is truncated or was altered: its checksum does not match.")
    return _split(kind, view[_PREFIX.size : -32], header_bytes)


def unpack_client_keys(keys: bytes, program_id: str, n_blobs: int) -> tuple[str, list[memoryview]]:
    """Identity and blobs of what a client's ``export_keys`` returned, checked against the program."""
    header, blobs = unpack_message("client_keys", keys)
    if header.get("program_id") != program_id:
        raise KeyMismatchError("The keys were generated for another model (program_id differs).")
    key_id = header.get("key_id")
    if not isinstance(key_id, str) or len(blobs) != n_blobs:
        raise ProtocolError("The client_keys are malformed.")
    return key_id, blobs


def _split(kind: str, body: memoryview, header_bytes: int) -> tuple[dict[str, Any], list[memoryview]]:
    if header_bytes > min(len(body), _MAX_HEADER_BYTES):
        raise ProtocolError(f"The header of the {kind} is malformed.")
    try:
        header = json.loads(bytes(body[:header_bytes]))
        sizes = [int(size) for size in header.pop("blob_bytes")]
        found = header.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"The header of the {kind} is malformed.") from error
    if found != kind:
        raise ProtocolError(f"Expected a message of kind {kind!r}, got {found!r}.")
    if min(sizes, default=0) < 0 or header_bytes + sum(sizes) != len(body):
        raise ProtocolError(f"The {kind} is malformed: its parts do not add up to its size.")
    blobs, start = [], header_bytes
    for size in sizes:
        blobs.append(body[start : start + size])
        start += size
    return header, blobs


def program_digest(ensemble: TreeEnsemble, metadata: dict[str, Any]) -> str:
    """Hexadecimal SHA-256 of a quantized ensemble and its settings."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for field in fields(ensemble):
        value = getattr(ensemble, field.name)
        if isinstance(value, Link):
            value = value.to_dict()
        elif field.name == "score_scale" and (value == value[0]).all():
            value = float(value[0])  # as programs of before there was a scale for each column
        digest.update(field.name.encode())
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def check_identity(kind: str, header: Mapping[str, Any], **expected: str) -> None:
    """`KeyMismatchError` unless a message names the program and keys it is used with."""
    for name, value in expected.items():
        if header.get(name) != value:
            what = "another model" if name == "program_id" else "other keys"
            raise KeyMismatchError(f"The {kind} was made for {what} ({name}={header.get(name)!r}, not {value!r}).")


def read_matrix(
    kind: str, header: Mapping[str, Any], blobs: list[memoryview], n_columns: int, dtype: np.dtype
) -> np.ndarray:
    """The only blob of a message as (n_rows, n_columns); `ProtocolError` if sizes disagree."""
    n_rows = header.get("n_rows")
    if not isinstance(n_rows, int) or isinstance(n_rows, bool) or n_rows < 0:
        raise ProtocolError(f"The {kind} has no valid n_rows.")
    if len(blobs) != 1 or len(blobs[0]) != n_rows * n_columns * dtype.itemsize:
        raise ProtocolError(f"The {kind} does not hold {n_rows} rows of {n_columns} numbers.")
    return np.frombuffer(blobs[0], dtype=dtype).reshape(n_rows, n_columns)
