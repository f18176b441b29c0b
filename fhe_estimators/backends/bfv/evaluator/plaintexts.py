"""Encoded plaintexts that are used again for every request, within a memory budget (server side)."""

from __future__ import annotations

from collections.abc import Callable, Hashable

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
        self._capacity = capacity_bytes // plaintext_bytes
        self._kept: dict[Hashable, seal.Plaintext | None] = {}

    def get(self, key: Hashable, encode: Callable[[], seal.Plaintext | None]) -> seal.Plaintext | None:
        """The plaintext of a key, encoded if it is not kept."""
        if key in self._kept:
            return self._kept[key]
        plain = encode()
        if plain is None or len(self._kept) < self._capacity:
            self._kept[key] = plain
        return plain
