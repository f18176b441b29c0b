"""Client and server apart: archives, the two halves that load them, and models at a URL.

`FHEServer` never imports the code that holds secret keys; names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import AsyncRemoteModel, FHEClient, RemoteModel
    from .server import FHEServer

__all__ = ["AsyncRemoteModel", "FHEClient", "FHEServer", "RemoteModel"]

_LAZY = {"AsyncRemoteModel": ".client", "FHEClient": ".client", "FHEServer": ".server", "RemoteModel": ".client"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LAZY[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
