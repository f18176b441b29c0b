"""The file format of archives: a zip of ``manifest.json`` and ``arrays.safetensors``, nothing executable.

The manifest names the kind and the format version, holds plain settings, and the SHA-256 of the
arrays. Entries are stored uncompressed, so an archive cannot expand beyond its own size.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors.numpy import load, save

from ..exceptions import ProtocolError
from ._versions import ARCHIVE_VERSION, upgraded

_FORMAT = "fhe_estimators"
_MANIFEST, _ARRAYS = "manifest.json", "arrays.safetensors"


def write_archive(path: str | os.PathLike, kind: str, settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write an archive of a kind (``"server"`` or ``"client"``): all of it or, on failure, nothing."""
    blob = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    manifest = {
        "format": _FORMAT,
        "version": ARCHIVE_VERSION,
        "kind": kind,
        "arrays_sha256": hashlib.sha256(blob).hexdigest(),
        "settings": settings,
    }
    with replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        archive.writestr(_ARRAYS, blob)


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[IO[bytes]]:
    """A file that takes the place of ``path`` once it is written; readable by its owner only."""
    path = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_archive(path: str | os.PathLike, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Settings and arrays of an archive, as of the present version; `ProtocolError` if it is none of that kind."""
    with open(path, "rb") as file:  # what cannot be opened is no damaged archive
        return _read(file, path, kind)


def _read(file: IO[bytes], path: str | os.PathLike, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with zipfile.ZipFile(file) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ProtocolError(f"{path} is not an archive of fhe_estimators: its entries are compressed.")
            manifest = json.loads(archive.read(_MANIFEST))
            _check_manifest(manifest, path, kind)
            blob = archive.read(_ARRAYS)
        if hashlib.sha256(blob).hexdigest() != manifest["arrays_sha256"]:
            raise ProtocolError(f"{path} was altered: the checksum of its arrays does not match.")
        return upgraded(kind, manifest["version"], manifest["settings"], load(blob))
    except ProtocolError:
        raise
    except Exception as error:  # whatever zipfile, json and safetensors raise on broken input
        raise ProtocolError(f"{path} is not an intact archive of fhe_estimators: {error}") from error


def _check_manifest(manifest: Any, path: str | os.PathLike, kind: str) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ProtocolError(f"{path} is not an archive of fhe_estimators.")
    if not isinstance(manifest["version"], int) or manifest["version"] < 1:
        raise ProtocolError(f"{path} is not an archive of fhe_estimators: its format version is no number.")
    if manifest["version"] > ARCHIVE_VERSION:
        raise ProtocolError(
            f"{path} has format version {manifest['version']}; this installation reads up to {ARCHIVE_VERSION}. "
            "Upgrade fhe_estimators."
        )
    if manifest["kind"] != kind:
        raise ProtocolError(f"{path} is a {manifest['kind']} archive, expected one written by save_{kind}().")
