"""SEAL objects as bytes. Knows no secret: both sides use it."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ...exceptions import FHEError, ProtocolError


class SealFile:
    """Converts SEAL objects, which read and write files only, to and from bytes through one reused scratch file.

    Use as a context manager. Where the system offers it (Linux) the file is anonymous memory, which no other process
    can open by name and which is gone with this one.

    Parameters
    ----------
    secret : bool, default=False
        Insist on anonymous memory.
    """

    def __init__(self, *, secret: bool = False):
        self._secret = secret

    def __enter__(self) -> SealFile:
        if hasattr(os, "memfd_create"):
            self._handle: Any = os.fdopen(os.memfd_create("fhe_estimators"), "w+b")
            self._path = f"/proc/self/fd/{self._handle.fileno()}"
        elif self._secret:
            raise FHEError(
                "Secret keys can be saved and loaded on Linux only: elsewhere SEAL would write them to disk."
            )
        else:
            self._handle = tempfile.NamedTemporaryFile(prefix="fhe_estimators_")
            self._path = self._handle.name
        return self

    def __exit__(self, *exception: object) -> None:
        self._handle.close()

    def dump(self, item: Any) -> bytes:
        """Bytes of a SEAL object."""
        item.save(self._path)
        with open(self._path, "rb") as file:
            return file.read()

    def load(self, item: Any, context: Any, data: bytes | memoryview, what: str) -> Any:
        """Fill ``item`` from bytes, checked by SEAL against the context; `ProtocolError` otherwise."""
        # Overwritten in place: blobs of a request have about the same size, so no memory changes hands.
        os.pwrite(self._handle.fileno(), data, 0)
        os.ftruncate(self._handle.fileno(), len(data))
        try:
            item.load(context.seal_context, self._path)
        except (RuntimeError, ValueError, IndexError) as error:
            raise ProtocolError(f"The {what} is not valid for this program's parameters: {error}") from error
        return item
