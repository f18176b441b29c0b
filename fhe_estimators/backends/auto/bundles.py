"""Keys of several engines in one message, and requests and responses of one of them. Both sides use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...exceptions import KeyMismatchError, ProtocolError
from ..messages import check_identity, is_identifier, pack_message, peeked_program_id, unpack_message


def pack_bundle(kind: str, identity: Mapping[str, str], by_engine: Mapping[str, bytes]) -> bytes:
    """Messages of several engines, whole, as one of the same kind."""
    return pack_message(kind, {**identity, "engines": list(by_engine)}, list(by_engine.values()))


def unpack_bundle(
    kind: str, message: bytes, program_id: str, engines: Mapping[str, Any]
) -> tuple[str, dict[str, bytes]]:
    """The key id of a bundle, and its messages by engine.

    Raises
    ------
    KeyMismatchError
        If it belongs to another program.
    ProtocolError
        If it is no bundle of these engines.
    """
    header, blobs = unpack_message(kind, message)
    check_identity(kind, header, program_id=program_id)
    names, key_id = header.get("engines"), header.get("key_id")
    if not isinstance(names, list) or not names or len(set(map(str, names))) != len(names):
        raise ProtocolError(f"The {kind} are malformed: they do not say for which engines they are.")
    if len(names) != len(blobs) or not all(isinstance(name, str) and name in engines for name in names):
        raise ProtocolError(f"The {kind} are malformed: they are not for the engines of this program.")
    if not is_identifier(key_id):
        raise ProtocolError(f"The {kind} are malformed: they have no valid key_id.")
    return str(key_id), {name: bytes(blob) for name, blob in zip(names, blobs, strict=True)}


def engine_of(kind: str, message: bytes, engine_of_program: Mapping[str, str]) -> str:
    """The engine that a request or response belongs to, by the program it names; that engine checks the rest.

    Raises
    ------
    KeyMismatchError
        If it was made for another model.
    ProtocolError
        If it is no intact message of this kind.
    """
    name = engine_of_program.get(peeked_program_id(kind, message) or "")
    if name is None:
        unpack_message(kind, message)  # says what is wrong with it
        raise KeyMismatchError(f"The {kind} was made for another model (program_id differs).")
    return name
