"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")


def progress_bar(items: Iterable[T], *, description: str, verbose: int, total: int | None = None) -> tqdm[T]:
    """An iterable with a tqdm bar on standard error if ``verbose`` is positive, silent otherwise."""
    return tqdm(items, desc=description, total=total, disable=verbose <= 0)
