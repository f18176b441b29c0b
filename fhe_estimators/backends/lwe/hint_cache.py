"""The client's store of hints, bounded in memory; what does not fit lies in a file (hints are public)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

DEFAULT_MEMORY_BYTES = 2 << 30


class HintCache:
    """Spectra of hints by layer.

    Parameters
    ----------
    memory_bytes : int, default=2 GiB
        Hints beyond this are mapped from files, which the operating system reads when they are used and drops from
        memory when it is short.
    directory : path-like, default=None
        The folder of the files, which are removed with the cache; None for a temporary one.
    """

    def __init__(self, *, memory_bytes: int = DEFAULT_MEMORY_BYTES, directory: str | Path | None = None):
        self.memory_bytes = memory_bytes
        self.directory = directory
        self._spectra: dict[str, torch.Tensor] = {}
        self._held_bytes = 0
        self._files: tempfile.TemporaryDirectory[str] | None = None

    def get(self, name: str, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Spectra of a layer's hint, computed when they are asked for first."""
        if name not in self._spectra:
            spectra = compute()
            if spectra.device.type == "cpu" and self._held_bytes + spectra.nbytes > self.memory_bytes:
                spectra = self._to_file(spectra)
            else:
                self._held_bytes += spectra.nbytes
            self._spectra[name] = spectra
        return self._spectra[name]

    def _to_file(self, spectra: torch.Tensor) -> torch.Tensor:
        if self._files is None:
            self._files = tempfile.TemporaryDirectory(prefix="fhe_hints_", dir=self.directory)
        path = Path(self._files.name) / f"{len(self._spectra)}.bin"
        spectra.numpy().tofile(path)
        return torch.from_file(str(path), size=spectra.numel(), dtype=spectra.dtype).reshape(spectra.shape)

    @property
    def nbytes(self) -> dict[str, int]:
        """Bytes held in ``"memory"`` and in the ``"file"``."""
        total = sum(spectra.nbytes for spectra in self._spectra.values())
        return {"memory": self._held_bytes, "file": total - self._held_bytes}
