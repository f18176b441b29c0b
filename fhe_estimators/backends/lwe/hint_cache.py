"""The client's store of hints, bounded in memory; what does not fit lies in a file (hints are public)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import torch

from .file_store import FileStore, StoredTensor

DEFAULT_MEMORY_BYTES = 1 << 26


class HintCache:
    """Spectra of hints by layer.

    Layers are used in the same order in every step: while one multiplies, the spectra of the next are read ahead.

    Parameters
    ----------
    memory_bytes : int or None, default=64 MiB
        Hints beyond this lie in a file and are read when they are used; None keeps all in memory.
    directory : path-like, default=None
        The folder of the file, which is removed with the cache; None for the system's temporary one.
    """

    def __init__(self, *, memory_bytes: int | None = DEFAULT_MEMORY_BYTES, directory: str | Path | None = None):
        self._store = FileStore(memory_bytes, directory)
        self._stored: dict[str, StoredTensor] = {}
        self._next: dict[str, str] = {}
        self._ahead: dict[str, Future[torch.Tensor]] = {}
        self._last: str | None = None

    def get(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Spectra of a layer's hint, computed when they are asked for first."""
        if self._last is not None:
            self._next[self._last] = name
        self._last = name
        if name not in self._stored:
            spectra = compute()
            self._stored[name] = self._store.put(spectra)
            return spectra
        future = self._ahead.pop(name, None)
        self._ahead.clear()  # what was expected and not asked for
        spectra = self._stored[name].load() if future is None else future.result()
        following = self._next.get(name)
        if following in self._stored and following != name:
            self._ahead[following] = self._store.ahead(self._stored[following])
        return spectra

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes held in ``"memory"`` and in the ``"file"``, without what is being read."""
        return {"memory": self._store.held_bytes, "file": self._store.file_bytes}
