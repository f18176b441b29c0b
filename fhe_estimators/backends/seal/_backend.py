"""Base of the factories of engines on SEAL."""

from __future__ import annotations

from ...utils import import_optional
from ..factory import LazyBackend


class SealBackend(LazyBackend):
    """A backend whose client and evaluator need TenSEAL, which brings SEAL to Python."""

    def require_libraries(self) -> None:
        import_optional("tenseal.sealapi", package="tenseal", purpose=f'backend="{self.name}"')
