"""LoRA fine-tuning whose linear layers are computed by untrusted workers on ciphertexts.

Names are imported on first use, so that a worker does not load what holds the client's secrets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..utils import import_optional

if TYPE_CHECKING:
    from .client.http import HTTPWorker
    from .estimator import HELoRAFineTuner
    from .worker.worker import LocalWorker

__all__ = ["HELoRAFineTuner", "HTTPWorker", "LocalWorker"]

_MODULES = {"HELoRAFineTuner": ".estimator", "HTTPWorker": ".client.http", "LocalWorker": ".worker.worker"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for library in ("torch", "transformers", "peft"):
        import_optional(library, extra="lora", purpose=name)
    return getattr(import_module(_MODULES[name], __name__), name)
