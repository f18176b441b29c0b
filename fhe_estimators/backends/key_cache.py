"""A client's evaluation keys, read once for many requests (server side)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class KeyCache(Generic[T]):
    """What was made of the last evaluation keys: a client sends many requests under them. Safe for threads.

    Parameters
    ----------
    read : callable
        From a message to the keys in it; pickles.
    """

    def __init__(self, read: Callable[[bytes], T]):
        self._read = read
        self._last: tuple[bytes, T] | None = None

    def __call__(self, message: bytes) -> T:
        """The keys of a message."""
        last = self._last  # read once: another thread may replace it
        if last is None or last[0] != message:
            last = self._last = message, self._read(message)
        return last[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"_read": self._read, "_last": None}  # libraries' keys cannot be pickled
