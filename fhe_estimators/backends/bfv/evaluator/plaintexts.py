"""Encoded plaintexts that are used again for every request, within a memory budget (server side)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import tenseal.sealapi as seal

from ..sizes import CACHE_BYTES


class PlaintextCache:
    """Plaintexts by key, kept while there is room; the first ones stay, since requests use all of them in turn.

    Parameters
    ----------
    plaintext_bytes : int
        Memory of one.
    capacity_bytes : int, default=CACHE_BYTES
        Memory of all.
    """

    def __init__(self, plaintext_bytes: int, capacity_bytes: int = CACHE_BYTES):
        self.plaintext_bytes = plaintext_bytes
        self.capacity = capacity_bytes
        self._kept: dict[Hashable, seal.Plaintext | None] = {}
        self._n_kept = 0

    def get(self, key: Hashable, encode: Callable[[], seal.Plaintext | None]) -> seal.Plaintext | None:
        """The plaintext of a key, encoded if it is not kept."""
        if key in self._kept:
            return self._kept[key]
        plain = encode()
        if plain is None:
            self._kept[key] = None
        elif (self._n_kept + 1) * self.plaintext_bytes <= self.capacity:
            self._kept[key] = plain
            self._n_kept += 1
        return plain

    def limit(self, capacity_bytes: int) -> None:
        """Change the memory of all; plaintexts are dropped if they take more."""
        self.capacity = capacity_bytes
        if self._n_kept * self.plaintext_bytes > capacity_bytes:
            self._kept, self._n_kept = {}, 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_kept": {}, "_n_kept": 0}  # SEAL's objects cannot be pickled
