"""Tensors in a file of the client's, within a budget of memory."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from .arena import Arena, Places


class StoredTensor:
    """A tensor in memory or in a file, until it is taken.

    Parameters
    ----------
    load : callable
        Returns the tensor.
    release : callable
        Gives its place back.
    is_held : bool
        Whether it is in memory.
    """

    def __init__(self, load: Callable[[], torch.Tensor], release: Callable[[], None], *, is_held: bool):
        self.is_held = is_held
        self._load = load
        self._release = release

    def load(self) -> torch.Tensor:
        """The tensor, not to be changed; one that is held in memory is there until its place is given back."""
        return self._load()

    def release(self) -> None:
        """Give the place of the tensor back; it cannot be loaded afterwards."""
        self._release()


class FileStore:
    """Keeps tensors of the CPU in memory up to a number of bytes, and others in one file.

    In memory they are copies in an `Arena`. The file is read, never mapped: what is in memory is what was asked for,
    whatever the operating system caches of the file. It is a nameless one where there are such, and goes with the
    process, however that ends.

    Parameters
    ----------
    memory_bytes : int or None
        Bytes that are held in memory at most; None for all.
    directory : path-like, default=None
        The folder of the file; None for the system's temporary one.

    Attributes
    ----------
    held_bytes : int
        Bytes of the tensors that are held in memory.
    """

    def __init__(self, memory_bytes: int | None, directory: str | Path | None = None):
        self.memory_bytes = memory_bytes
        self.directory = directory
        self.held_bytes = 0
        self._lock = threading.RLock()  # tensors may be released by a collection of garbage within
        self._arena = Arena()
        self._places = Places()
        self._file: Any = None
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="fhe_estimators-read")

    @property
    def file_bytes(self) -> int:
        """Bytes of the tensors in the file."""
        return self._places.used_bytes

    def put(self, tensor: torch.Tensor) -> StoredTensor:
        """Keep a tensor; one of another device than the CPU as it is, so that it must not change any more."""
        shape, dtype, n_bytes = tensor.shape, tensor.dtype, tensor.nbytes
        if tensor.device.type != "cpu":
            with self._lock:
                self.held_bytes += n_bytes
            return StoredTensor(_unchanged(tensor), lambda: self._forget(n_bytes), is_held=True)
        with self._lock:
            if self.memory_bytes is None or self.held_bytes + n_bytes <= self.memory_bytes:
                self.held_bytes += n_bytes
                place = self._arena.put(tensor)
                return StoredTensor(
                    lambda: self._arena.view(place, shape, dtype), lambda: self._forget(n_bytes, place), is_held=True
                )
            start = self._places.take(n_bytes)
            self._write(tensor.contiguous(), start)
        return StoredTensor(
            lambda: self._read(start, shape, dtype), lambda: self._free_place(start, n_bytes), is_held=False
        )

    def ahead(self, stored: StoredTensor) -> Future[torch.Tensor]:
        """Begin to load a tensor in another thread."""
        return self._reader.submit(stored.load)

    def _forget(self, n_bytes: int, place: tuple[int, int] | None = None) -> None:
        with self._lock:
            self.held_bytes -= n_bytes
            if place is not None:
                self._arena.give_back(place)

    def _free_place(self, start: int, n_bytes: int) -> None:
        with self._lock:
            self._places.give_back(start, n_bytes)

    def _write(self, tensor: torch.Tensor, start: int) -> None:
        with self._lock:
            if self._file is None:
                file = tempfile.TemporaryFile(prefix="fhe_estimators_", dir=self.directory, buffering=0)  # noqa: SIM115
                self._file = file
            self._file.seek(start)
            view, done = _bytes_of(tensor), 0
            while done < len(view):
                done += self._file.write(view[done:])

    def _read(self, start: int, shape: torch.Size, dtype: torch.dtype) -> torch.Tensor:
        tensor = torch.empty(shape, dtype=dtype)
        with self._lock:
            assert self._file is not None
            self._file.seek(start)
            view, done = _bytes_of(tensor), 0
            while done < len(view):
                count = self._file.readinto(view[done:])
                if not count:
                    raise OSError("The client's temporary file is shorter than what was written to it.")
                done += count
        return tensor

    def __del__(self) -> None:
        self._reader.shutdown(wait=False)

    def __getstate__(self) -> None:
        raise TypeError("A client's temporary file cannot be pickled or copied.")


def _unchanged(tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
    version = tensor._version

    def load() -> torch.Tensor:
        if tensor._version != version:
            raise RuntimeError("A tensor that was kept was changed in place, so it cannot be used again.")
        return tensor

    return load


def _bytes_of(tensor: torch.Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data
