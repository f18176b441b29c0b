"""Client and server apart: archives, and the two halves that load them.

`FHEServer` never imports the code that holds secret keys; names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import FHEClient
    from .server import FHEServer

__all__ = ["FHEClient", "FHEServer"]

_LAZY = {"FHEClient": ".client", "FHEServer": ".server"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
