"""Tables and machine facts, shared by all benchmarks."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: Of processors, by the flags that Linux names them with: what decides how fast products of integers and floats are.
FEATURES = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_int8",),
    "NEON": ("asimd",),
}
#: Variables that keep libraries from using some of them.
FEATURE_LIMITS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS", "NUMBA_CPU_NAME")
LIBRARIES = (
    "fhe-estimators",
    "tenseal",
    "numpy",
    "scikit-learn",
    "xgboost",
    "xgboost-cpu",
    "lightgbm",
    "torch",
    "numba",
)


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a terminal: the first column left, all others right."""
    widths = [max(len(line[i]) for line in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "  ".join("-" * width for width in widths), *map(line, rows)])


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table in Markdown."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, rule, *rows])


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor model and features, cores, memory and versions."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _cpu_info("model name") or platform.processor() or platform.machine(),
        "features": processor_features(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "python": platform.python_version(),
        **{name: _version(name) for name in LIBRARIES},
    }


def describe_machine() -> str:
    """`machine` in one line."""
    facts = machine()
    processor = f"{facts.pop('processor')} ({facts.pop('features')})"
    hardware = f"{processor}, {facts.pop('cores')} cores, {facts.pop('memory_gib')} GiB"
    return hardware + "; " + ", ".join(f"{name} {value}" for name, value in facts.items() if value)


def processor_features() -> str:
    """Vector instructions of the processor, and whether the environment keeps libraries from using them."""
    flags = set((_cpu_info("flags") or _cpu_info("Features") or "").split())
    found = ", ".join(name for name, names in FEATURES.items() if flags.intersection(names)) or "features unknown"
    limits = [f"{name}={os.environ[name]}" for name in FEATURE_LIMITS if os.environ.get(name)]
    return f"{found}; limited by {', '.join(limits)}" if limits else found


def describe_products(device: str = "cpu") -> str:
    """How encrypted linear layers are multiplied on a device: what was measured to be the fastest, or is pinned."""
    import torch

    from fhe_estimators.backends.lwe.product_choice import choose_product

    few, many = (choose_product(torch.device(device), n_rows).name for n_rows in (1, 1024))
    return f"products of {many}" if few == many else f"products of {many}, for few tokens {few}"


def _cpu_info(field: str) -> str | None:
    """A line of what Linux tells of the first processor."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.partition(":")[0].strip() == field:
            return line.partition(":")[2].strip()
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def seconds(value: float) -> str:
    """Three significant digits or so, never in scientific notation."""
    if value < 0.01:
        return f"{value:.4f}"
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def size(n_bytes: float) -> str:
    """Bytes in decimal units, as networks count them."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
