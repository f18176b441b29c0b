"""Signal handlers that native libraries install over those of Python."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_HANDLED = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGHUP", "SIGILL", "SIGINT", "SIGPIPE", "SIGSEGV", "SIGTERM", "SIGUSR2")


@contextmanager
def keep_signal_handlers() -> Iterator[None]:
    """Restore the process's signal handlers when a block ends.

    A library that handles SIGPIPE ends the whole process when a client of a server hangs up, and one that handles
    SIGINT ends it where Python raises KeyboardInterrupt. `signal.signal` cannot undo that: it does not know handlers
    that were not installed by Python, and works in the main thread only.
    """
    numbers = [getattr(signal, name) for name in _HANDLED if hasattr(signal, name)]
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_int]
    put.restype, put.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    handlers = {number: get(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            if get(number) != handler:
                put(number, handler)
