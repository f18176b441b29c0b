"""The server's half: `FHEServer`, and the service over HTTP. Reaches no code that holds secret keys or decrypts.

`FHEServer` is imported on first use: the process that speaks HTTP evaluates nothing and stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fhe_server import FHEServer

__all__ = ["FHEServer"]


def __getattr__(name: str) -> Any:
    if name != "FHEServer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .fhe_server import FHEServer

    return FHEServer
