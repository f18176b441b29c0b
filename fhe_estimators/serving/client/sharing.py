"""The session that a remote model shares with its clones (client side)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from .session import Session


class SharedSession:
    """The session of a model and its clones, as long as their parameters are equal."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a companion is made of what the session says
        self._settings: Any = None
        self._found: Session | None = None
        self._companion: tuple[Session, Any] | None = None

    def session(self, settings: Any, connect: Callable[[], Session]) -> Session:
        """The session there is, or a new one for other settings."""
        with self._lock:
            if self._found is None or self._settings != settings:
                self._found, self._settings = connect(), settings
            return self._found

    def companion(self, session: Session, make: Callable[[], Any] | None) -> Any:
        """What belongs to a session, made once; without a way to make it, None until it is there."""
        with self._lock:
            if self._companion is None or self._companion[0] is not session:
                if make is None:
                    return None
                self._companion = session, make()
            return self._companion[1]
