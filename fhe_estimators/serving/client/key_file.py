"""Files with a client's keys, encrypted with a password (client side)."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from ...backends.messages import pack_message, unpack_message
from ...exceptions import ProtocolError
from .._container import replacing

_KIND = "encrypted_client_keys"
_SALT_BYTES, _NONCE_BYTES, _KEY_BYTES = 16, 12, 32
#: Costs of scrypt for files, as its author recommends them (RFC 7914, section 2, with a larger cost): 128 MB, half a
#: second. A version of the format of their own, so that no file can ask for less, or for all memory.
_SCRYPT = {"n": 2**17, "r": 8, "p": 1}


def write_key_file(path: str | os.PathLike, keys: bytes, password: str) -> None:
    """Encrypt and authenticate keys (AES-256-GCM under a key that scrypt derives), and write them."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    sealed = AESGCM(_derived_key(password, salt)).encrypt(nonce, keys, None)
    with replacing(path) as file:
        file.write(pack_message(_KIND, {}, [salt, nonce, sealed]))


def read_key_file(path: str | os.PathLike, password: str) -> bytes:
    """What was given to `write_key_file`; `ProtocolError` if the password or the file is wrong."""
    _, blobs = unpack_message(_KIND, Path(path).read_bytes())
    if [len(blob) for blob in blobs[:2]] != [_SALT_BYTES, _NONCE_BYTES] or len(blobs) != 3:
        raise ProtocolError(f"{path} is malformed: it is no file that save_keys wrote.")
    salt, nonce, sealed = map(bytes, blobs)
    try:
        return AESGCM(_derived_key(password, salt)).decrypt(nonce, sealed, None)
    except InvalidTag as error:
        raise ProtocolError(f"{path} cannot be decrypted: the password is wrong, or the file was altered.") from error


def _derived_key(password: str, salt: bytes) -> bytes:
    if not isinstance(password, str) or not password:
        raise ValueError("password must be a string that is not empty.")
    return Scrypt(salt=salt, length=_KEY_BYTES, **_SCRYPT).derive(password.encode())
