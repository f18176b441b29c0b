"""What the client's memory is for: products kept for the backward pass first, then hints (client side)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ...backends.lwe import LWEBackend, resolve_linear_backend
from ...backends.lwe.file_store import FileStore
from ...utils import returning_large_blocks
from .frozen_layer import FrozenLayer
from .splitting import frozen_layers
from .tape import keeping_in


class MemoryBudget:
    """Bytes of memory for what training keeps, shared out.

    Products come first: a hint that lies in a file is read once a use, a product is written as well.

    Parameters
    ----------
    memory_bytes : int or None
        None: as much as products need, and hints as the backend has it.
    layers : sequence of FrozenLayer
    n_tokens : int
        Tokens of a batch at most.
    directory : path-like, default=None
        The folder of the file of products.

    Attributes
    ----------
    product_bytes : int or None
        Memory for products.
    """

    def __init__(self, memory_bytes: int | None, layers: Sequence[FrozenLayer], n_tokens: int, directory: Any = None):
        needed = 4 * n_tokens * sum(layer.n_outputs for layer in layers)
        self.directory = directory
        self.product_bytes = None if memory_bytes is None else min(int(memory_bytes), needed)
        self._hint_bytes = None if memory_bytes is None else int(memory_bytes) - min(int(memory_bytes), needed)

    @classmethod
    def of(cls, settings: Any, model: Any) -> MemoryBudget:
        """From the parameters of `HELoRAFineTuner`, for a model whose layers were taken out."""
        n_tokens = settings.batch_size * settings.max_length
        directory = resolve_linear_backend(settings.backend).hint_directory
        return cls(settings.memory_budget_bytes, frozen_layers(model), n_tokens, directory)

    def of_hints(self, backend: LWEBackend) -> LWEBackend:
        """A backend whose hints take what products leave."""
        return backend if self._hint_bytes is None else replace(backend, hint_memory_bytes=self._hint_bytes)

    @contextmanager
    def keeping_products(self) -> Iterator[None]:
        """Have products that are kept take their share of memory, and a file beyond, within a context.

        Within it, large blocks of memory go back to the system as they are freed.
        """
        with returning_large_blocks(), keeping_in(FileStore(self.product_bytes, self.directory)):
            yield
