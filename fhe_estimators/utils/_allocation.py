"""What a process does with large blocks of memory that are free."""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

#: Blocks from here on go back to the system as they are freed.
_LARGE_BYTES = 1 << 22
#: From where on glibc maps blocks on their own in the end, if it is left to itself.
_GLIBC_LARGEST_BYTES = 1 << 25
_M_MMAP_THRESHOLD = -3

_lock = threading.Lock()
_users = 0


@contextmanager
def returning_large_blocks() -> Iterator[None]:
    """Have the C library give blocks of 4 MiB and more back to the system, within the context.

    The GNU C library learns from what is freed: it soon takes blocks of up to 32 MiB from a heap, which keeps what lies
    between two blocks that are still in use. Training, which allocates many sizes in turn, so holds hundreds of
    megabytes that nobody uses. Mapping them anew costs a tenth of the time of filling them.

    The setting is of the whole process. Whoever chose one, by ``MALLOC_MMAP_THRESHOLD_`` or ``GLIBC_TUNABLES``, keeps
    it; other C libraries are left alone.
    """
    global _users
    set_option = _mallopt()
    with _lock:
        _users += 1
        if set_option is not None and _users == 1:
            set_option(_M_MMAP_THRESHOLD, _LARGE_BYTES)
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if set_option is not None and _users == 0:
                set_option(_M_MMAP_THRESHOLD, _GLIBC_LARGEST_BYTES)


def _mallopt() -> Any:
    """The C library's function if it is GNU's and nobody has chosen otherwise, else None."""
    if "MALLOC_MMAP_THRESHOLD_" in os.environ or "mmap_threshold" in os.environ.get("GLIBC_TUNABLES", ""):
        return None
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 (an AttributeError elsewhere)
        return library.mallopt
    except (OSError, AttributeError, TypeError):
        return None
