"""Products of a block of layers, kept from its first run for its second (client side)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from ...backends.lwe.file_store import FileStore, StoredTensor

_STORE: ContextVar[FileStore | None] = ContextVar("fhe_estimators_products", default=None)
_TAPE: ContextVar[Tape | None] = ContextVar("fhe_estimators_tape", default=None)


class Tape:
    """What a block's remote products were, in order: recorded by its first run, taken by the second."""

    def __init__(self) -> None:
        self._store = _STORE.get() or FileStore(None)
        self._kept: list[StoredTensor] = []
        self._is_recorded = False

    def product(self, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """The next product; computed if this is the first run, and forgotten if it is the second."""
        if not self._is_recorded:
            product = compute()
            # An alias: what autograd makes of the tensor itself would keep the whole graph alive.
            self._kept.append(self._store.put(product.detach()))
            return product
        if not self._kept:
            raise RuntimeError(
                "A block of the model ran backward twice, or with other layers than forward: products are kept for one "
                "backward pass."
            )
        stored = self._kept.pop(0)
        product = stored.load()
        if stored.is_held:
            product = product.clone()  # its place is used again
        stored.release()
        return product

    def end_run(self) -> None:
        """The block's run is over; products of the second one that nobody needed are forgotten."""
        if self._is_recorded:
            self._forget()
        self._is_recorded = True

    def _forget(self) -> None:
        while self._kept:
            self._kept.pop().release()

    def __del__(self) -> None:
        self._forget()


@contextmanager
def playing(tape: Tape) -> Iterator[None]:
    """Have products go through a tape within the context."""
    token = _TAPE.set(tape)
    try:
        yield
    finally:
        _TAPE.reset(token)
        tape.end_run()


@contextmanager
def keeping_in(store: FileStore) -> Iterator[None]:
    """Have tapes that are made within the context keep products in a store."""
    token = _STORE.set(store)
    try:
        yield
    finally:
        _STORE.reset(token)


def kept_product(compute: Callable[[], torch.Tensor]) -> torch.Tensor:
    """A product through the tape that plays, if one does."""
    tape = _TAPE.get()
    return compute() if tape is None else tape.product(compute)
