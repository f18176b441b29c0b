"""Memory of the machine, and refusals of what does not fit."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from ..exceptions import MemoryBudgetError, MemoryBudgetWarning

#: Resident memory of a process that has loaded the library and a small model.
PROCESS_BYTES = 160_000_000
#: Part of the machine's memory that one evaluation may take by default, and part above which users are warned.
_DEFAULT_SHARE, _WARNING_SHARE = 0.8, 0.5
#: A limit of a control group above this is none (version 1 writes a huge number).
_NO_LIMIT = 1 << 60


def memory_limit_bytes(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """Memory that this process may use: that of the machine, or less if it runs in a control group (a container).

    Parameters
    ----------
    proc : Path, default=Path("/proc")
        Where the system describes itself.
    cgroups : Path, default=Path("/sys/fs/cgroup")
        Where control groups are mounted, of version 1 or 2.

    Returns
    -------
    limit : int
        In bytes.
    """
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    try:
        memberships = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        memberships = []
    folders = [(cgroups, "memory.max"), (cgroups / "memory", "memory.limit_in_bytes")]
    for membership in memberships:
        _, _, rest = membership.partition(":")
        controllers, _, path = rest.partition(":")
        parts = [part for part in path.split("/") if part and part != ".."]
        if controllers == "":
            folders += [(cgroups.joinpath(*parts[:n]), "memory.max") for n in range(1, len(parts) + 1)]
        elif "memory" in controllers.split(","):
            root = cgroups / "memory"
            folders += [(root.joinpath(*parts[:n]), "memory.limit_in_bytes") for n in range(1, len(parts) + 1)]
    for folder, name in folders:
        try:
            limits.append(int((folder / name).read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return min(limit for limit in limits if 0 < limit < _NO_LIMIT)


def memory_budget(memory_budget_bytes: int | None) -> int:
    """A budget in bytes; None stands for 80 % of what the process may use."""
    if memory_budget_bytes is None:
        return int(_DEFAULT_SHARE * memory_limit_bytes())
    if memory_budget_bytes <= 0:
        raise ValueError(f"memory_budget_bytes={memory_budget_bytes!r} must be positive.")
    return int(memory_budget_bytes)


def check_memory(needed_bytes: int, memory_budget_bytes: int | None, what: str, way_out: str) -> None:
    """Raise `MemoryBudgetError` if something would need more memory than a budget allows.

    Parameters
    ----------
    needed_bytes : int
        At the peak.
    memory_budget_bytes : int or None
        None stands for 80 % of what the process may use.
    what : str
        The subject of the message's sentence.
    way_out : str
        What to do about it: a sentence.
    """
    budget = memory_budget(memory_budget_bytes)
    if needed_bytes > budget:
        raise MemoryBudgetError(
            f"{what} would take {readable_bytes(needed_bytes)} of memory, more than the budget of "
            f"{readable_bytes(budget)}: nothing was started. {way_out} A larger budget is set by memory_budget_bytes."
        )


def warn_of_memory(needed_bytes: int, what: str, way_out: str) -> None:
    """Warn if something would need more than half of the memory that this process may use."""
    limit = memory_limit_bytes()
    if needed_bytes > _WARNING_SHARE * limit:
        warnings.warn(
            f"{what} would take {readable_bytes(needed_bytes)} of memory, more than half of the "
            f"{readable_bytes(limit)} of this machine. {way_out}",
            MemoryBudgetWarning,
            stacklevel=5,  # from `warn_of_memory` to the call of an estimator's `compile`
        )


def readable_bytes(n_bytes: float) -> str:
    """Bytes for people: with three digits, in the unit that fits."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"
