"""Large blocks of memory go back to the system."""

import platform
import subprocess
import sys

import pytest

from fhe_estimators.utils import _allocation, returning_large_blocks

SCRIPT = """
from fhe_estimators.utils import returning_large_blocks

def resident():
    with open("/proc/self/statm") as file:
        return 4096 * int(file.read().split()[1])

def kept_by_the_heap():
    large, between = [], []
    for _ in range(20):
        large.append(b"1" * (8 << 20))
        between.append(b"1" * (100 << 10))
    before = resident()
    large.clear()
    return 160 * 2 ** 20 - (before - resident())

learned = b"1" * (16 << 20)
del learned
alone = kept_by_the_heap()
with returning_large_blocks(), returning_large_blocks():
    print(alone, kept_by_the_heap())
print(kept_by_the_heap())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of the GNU C library")
def test_what_is_freed_is_not_resident():
    lines = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.split()
    alone, within, afterwards = (int(line) for line in lines)
    assert within < 16 << 20 < 100 << 20 < min(alone, afterwards)


@pytest.mark.parametrize(
    ("name", "value"), [("MALLOC_MMAP_THRESHOLD_", "100000"), ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=100000")]
)
def test_a_choice_of_the_user_s_stays(name, value, monkeypatch):
    monkeypatch.setenv(name, value)
    assert _allocation._mallopt() is None
    with returning_large_blocks():
        pass
    assert _allocation._users == 0
