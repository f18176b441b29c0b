"""What the client's memory is for: products kept for the backward pass first, then hints (client side)."""

from __future__ import annotations

from collections.abc import Sequence

from .frozen_layer import FrozenLayer


def product_bytes(layers: Sequence[FrozenLayer], n_tokens: int) -> int:
    """Memory of the products that one batch keeps from its forward pass for its backward pass."""
    return 4 * n_tokens * sum(layer.n_outputs for layer in layers)


def shares(memory_budget_bytes: int, layers: Sequence[FrozenLayer], n_tokens: int) -> tuple[int, int]:
    """Bytes for products and for hints.

    Products come first: a hint that lies in a file is read once a use, a product is written as well.
    """
    products = min(memory_budget_bytes, product_bytes(layers, n_tokens))
    return products, memory_budget_bytes - products
