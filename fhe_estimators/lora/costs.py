"""What a step costs, by phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass
class Costs:
    """Seconds and bytes since the last `take`; one object for all layers of a model."""

    client_crypto_seconds: float = 0.0
    worker_seconds: float = 0.0
    transfer_seconds: float = 0.0
    upload_bytes: int = 0
    download_bytes: int = 0
    hint_bytes: int = 0

    @contextmanager
    def crypto(self) -> Iterator[None]:
        """Count the time of a block as the client's cryptography."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.client_crypto_seconds += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """The costs so far; counting starts again."""
        taken = asdict(self)
        self.__init__()  # type: ignore[misc]
        return taken
