"""Limits of memory, and the words for them."""

import os

import pytest

from fhe_estimators.exceptions import MemoryBudgetError
from fhe_estimators.utils import StepProgress, check_memory, memory_limit_bytes, readable_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def write(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("", {}, MACHINE),
        ("0::/\n", {"memory.max": "1000000"}, 1_000_000),
        ("0::/\n", {"memory.max": "max"}, MACHINE),
        ("0::/a/b\n", {"a/memory.max": "5000000", "a/b/memory.max": "max"}, 5_000_000),
        ("0::/a/b\n", {"a/memory.max": "5000000", "a/b/memory.max": "4000000"}, 4_000_000),
        ("0::/../../a\n", {"a/memory.max": "3000000"}, 3_000_000),
        ("4:memory:/a\n5:cpu:/b\n", {"memory/a/memory.limit_in_bytes": "7000000"}, 7_000_000),
        ("4:cpu,memory:/a\n", {"memory/memory.limit_in_bytes": "6000000"}, 6_000_000),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": str(2**63 - 4096)}, MACHINE),
        ("0::/\n", {"memory.max": "nonsense"}, MACHINE),
    ],
)
def test_limits_of_containers_count(tmp_path, membership, files, expected):
    write(tmp_path / "proc", {"self/cgroup": membership})
    write(tmp_path / "cgroup", files)
    assert memory_limit_bytes(tmp_path / "proc", tmp_path / "cgroup") == expected


def test_a_system_without_control_groups(tmp_path):
    assert memory_limit_bytes(tmp_path, tmp_path) == MACHINE >= memory_limit_bytes() > 0


def test_the_default_budget_is_a_share_of_the_machine():
    check_memory(int(0.7 * memory_limit_bytes()), None, "This", "Do that.")
    with pytest.raises(MemoryBudgetError, match=r"This would take .* of memory, .* Do that\..*memory_budget_bytes"):
        check_memory(int(0.9 * memory_limit_bytes()), None, "This", "Do that.")


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(12, "12 bytes"), (12345, "12.3 kB"), (2.5e6, "2.5 MB"), (77e9, "77 GB")]
)
def test_bytes_for_people(n_bytes, text):
    assert readable_bytes(n_bytes) == text


def test_steps_of_unequal_length():
    with StepProgress([1.0, 9.0, 10.0], description="work", verbose=1) as step:
        assert step.bar.n == 0
        for finished in (1.0, 9.0, 10.0):
            step()
            assert step.bar.n == finished
