"""Framing of everything that crosses between client and server.

A message is ``magic | version | header length | header (JSON) | blobs | checksum``. It holds data only:
parsing it can run no code. The checksum is the SHA-256 of all up to the header and of the blobs' own
SHA-256. It finds accidents (truncation, flipped bits); it is no authentication, which is the
transport's task. Requests also carry a ``mac``, by which a client recognizes its own.

A response names the request it answers and holds ciphertexts, nothing else: how to decode them is the
client's to know, never the server's to say.

To change the format, raise `MESSAGE_VERSION`. Messages are short-lived and both sides are upgraded
together, so those of other versions are refused with an error that says so; store a message of each
kind under ``tests/data``, as those of earlier versions are.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from ..ensembles import Link, TreeEnsemble
from ..exceptions import KeyMismatchError, ProtocolError

_MAGIC = b"FHEM"
_PREFIX = struct.Struct("<4sHI")
#: Raised whenever an older reader would misread a newer message. 2: requests and responses carry a request id.
MESSAGE_VERSION = 2
_MAX_HEADER_BYTES = 1 << 26
_DIGEST_BYTES = 32

Blob = bytes | memoryview


def pack_message(kind: str, header: Mapping[str, Any], blobs: Sequence[Blob], *, digest: bytes | None = None) -> bytes:
    """Serialize a message.

    Parameters
    ----------
    kind : str
        ``"request"``, ``"response"``, ``"evaluation_keys"``, ``"client_keys"`` or another name.
    header : dict
        JSON-serializable.
    blobs : list of bytes
        Everything that is not.
    digest : bytes, default=None
        `blobs_digest` of the blobs, if it is known already.

    Returns
    -------
    message : bytes
        The message, which `unpack_message` reads.
    """
    text = json.dumps({"kind": kind, **header, "blob_bytes": [len(b) for b in blobs]}).encode()
    prefix = _PREFIX.pack(_MAGIC, MESSAGE_VERSION, len(text))
    return b"".join([prefix, text, *blobs, _checksum(prefix + text, digest or blobs_digest(blobs))])


def blobs_digest(blobs: Sequence[Blob]) -> bytes:
    """SHA-256 of blobs one after the other; their sizes are in the header."""
    digest = hashlib.sha256()
    for blob in blobs:
        digest.update(blob)
    return digest.digest()


def message_digest(message: bytes) -> bytes:
    """The checksum of a message, which `unpack_message` has verified: 32 bytes that stand for all of it."""
    return bytes(memoryview(message)[-_DIGEST_BYTES:])


def _checksum(start: Blob, digest: bytes) -> bytes:
    return hashlib.sha256(bytes(start) + digest).digest()


def unpack_message(kind: str, message: bytes) -> tuple[dict[str, Any], list[memoryview]]:
    """Header and blobs of a message.

    Parameters
    ----------
    kind : str
        What it must be.
    message : bytes
        The bytes that `pack_message` returned.

    Returns
    -------
    header : dict
        The header as it was packed.
    blobs : list of memoryview
        Views of the message.

    Raises
    ------
    ProtocolError
        If it is not an intact message of that kind and of this version.
    """
    if not isinstance(message, (bytes, bytearray, memoryview)):
        raise ProtocolError(f"The {kind} must be bytes, got {type(message).__name__}.")
    view = memoryview(message)
    if len(view) < _PREFIX.size + _DIGEST_BYTES or bytes(view[:4]) != _MAGIC:
        raise ProtocolError(f"This is not a {kind} of fhe_estimators (or it is truncated).")
    _, version, header_bytes = _PREFIX.unpack(view[: _PREFIX.size])
    _check_version(kind, version)
    start = min(_PREFIX.size + header_bytes, len(view) - _DIGEST_BYTES)
    digest = hashlib.sha256(view[start:-_DIGEST_BYTES]).digest()
    if _checksum(view[:start], digest) != bytes(view[-_DIGEST_BYTES:]):
        raise ProtocolError(f"The {kind} is truncated or was altered: its checksum does not match.")
    return _split(kind, view[_PREFIX.size : -_DIGEST_BYTES], header_bytes)


def peeked_program_id(kind: str, message: bytes) -> str | None:
    """The program that a message names, to dispatch it by: neither its checksum nor its blobs are looked at.

    Parameters
    ----------
    kind : str
        What it must be.
    message : bytes
        Anything.

    Returns
    -------
    program_id : str or None
        None if it is no message of this kind and version; `unpack_message` says why.
    """
    try:
        magic, version, header_bytes = _PREFIX.unpack_from(message)
        if magic != _MAGIC or version != MESSAGE_VERSION or header_bytes > _MAX_HEADER_BYTES:
            return None
        header = json.loads(bytes(memoryview(message)[_PREFIX.size : _PREFIX.size + header_bytes]))
        program_id = header["program_id"] if header["kind"] == kind else None
    except (struct.error, ValueError, KeyError, TypeError, RecursionError):
        return None
    return program_id if isinstance(program_id, str) else None


def _check_version(kind: str, version: int) -> None:
    if version > MESSAGE_VERSION:
        raise ProtocolError(
            f"The {kind} has format version {version}; this installation reads version {MESSAGE_VERSION}. "
            "Upgrade fhe_estimators."
        )
    if version < MESSAGE_VERSION:
        raise ProtocolError(
            f"The {kind} has format version {version}, whose messages are not safe against a malicious server; this "
            f"installation reads version {MESSAGE_VERSION}. Upgrade fhe_estimators on both sides, and make keys and "
            "requests anew."
        )


def _split(kind: str, body: memoryview, header_bytes: int) -> tuple[dict[str, Any], list[memoryview]]:
    if header_bytes > min(len(body), _MAX_HEADER_BYTES):
        raise ProtocolError(f"The header of the {kind} is malformed.")
    try:
        header = json.loads(bytes(body[:header_bytes]))
        sizes = list(header.pop("blob_bytes"))
        found = header.pop("kind")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(f"The header of the {kind} is malformed.") from error
    if found != kind:
        raise ProtocolError(f"Expected a message of kind {kind!r}, got {str(found)[:40]!r}.")
    if not all(is_count(size) for size in sizes):
        raise ProtocolError(f"The header of the {kind} is malformed.")
    if header_bytes + sum(sizes) != len(body):
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
        if field.metadata.get("of_client"):
            continue
        value = getattr(ensemble, field.name)
        if value is None:
            continue
        if isinstance(value, Link):
            value = value.to_dict()
        elif field.name == "score_scale" and (value == value[0]).all():
            value = float(value[0])  # as programs of before there was a scale for each column
        digest.update(field.name.encode())
        digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
    return digest.hexdigest()


def is_identifier(value: Any) -> bool:
    """Whether a value from a header is an identifier of keys or of a request: 32 hexadecimal digits."""
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{32}", value) is not None


def is_count(value: Any) -> bool:
    """Whether a value from a header is a number of things: an int from 0 up, no bool."""
    return type(value) is int and value >= 0


def check_identity(kind: str, header: Mapping[str, Any], **expected: str) -> None:
    """`KeyMismatchError` unless a message names the program and keys it is used with."""
    for name, value in expected.items():
        if header.get(name) != value:
            what = "another model" if name == "program_id" else "other keys"
            raise KeyMismatchError(f"The {kind} was made for {what} ({name} differs).")


def response_header(request: Mapping[str, Any], evaluation_keys: Mapping[str, Any], program_id: str) -> dict[str, Any]:
    """The header of the response to a request, once request, keys and program are known to belong together.

    Parameters
    ----------
    request : dict
        Header of the request.
    evaluation_keys : dict
        Header of the evaluation keys.
    program_id : str
        The identity of the program that the server runs.

    Returns
    -------
    header : dict
        ``program_id``, ``key_id`` and ``request_id``: all that a response has beside its ciphertexts.

    Raises
    ------
    KeyMismatchError
        If they do not belong together.
    ProtocolError
        If the request has no valid id.
    """
    check_identity("evaluation_keys", evaluation_keys, program_id=program_id)
    if not is_identifier(evaluation_keys.get("key_id")):
        raise ProtocolError("The evaluation_keys are malformed: they have no valid key_id.")
    identity = {"program_id": program_id, "key_id": evaluation_keys["key_id"]}
    check_identity("request", request, **identity)
    if not is_identifier(request.get("request_id")):
        raise ProtocolError("The request is malformed: it has no valid request_id.")
    return {**identity, "request_id": request["request_id"]}


def read_n_rows(kind: str, header: Mapping[str, Any]) -> int:
    """The number of rows of a message; `ProtocolError` if it is no number."""
    if not is_count(header.get("n_rows")):
        raise ProtocolError(f"The {kind} has no valid n_rows.")
    return int(header["n_rows"])


def count_rows(request: bytes) -> int | None:
    """The rows that a request says it holds, before it is checked; None if it does not say.

    Parameters
    ----------
    request : bytes
        The request that a client encrypted, or anything.

    Returns
    -------
    n_rows : int or None
        A bound for engines to keep: what they compute is checked against their own reading of the request.
    """
    view = memoryview(request)
    if len(view) < _PREFIX.size:
        return None
    _, _, header_bytes = _PREFIX.unpack(view[: _PREFIX.size])
    try:
        header = json.loads(bytes(view[_PREFIX.size : _PREFIX.size + min(header_bytes, _MAX_HEADER_BYTES)]))
        # Engines read one of the two: whichever says more counts.
        readings = [[header["n_rows"]] if "n_rows" in header else [], [b[0] for b in header.get("batches", [])]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return None
    sums = [sum(counts) for counts in readings if counts and all(is_count(count) for count in counts)]
    return max(sums, default=None)


def read_matrix(kind: str, blobs: Sequence[Blob], shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """The only blob of a message as an array of a shape; `ProtocolError` if sizes disagree."""
    n_rows, n_columns = shape
    if len(blobs) != 1 or len(blobs[0]) != n_rows * n_columns * dtype.itemsize:
        raise ProtocolError(f"The {kind} does not hold {n_rows} rows of {n_columns} numbers.")
    return np.frombuffer(blobs[0], dtype=dtype).reshape(n_rows, n_columns)
