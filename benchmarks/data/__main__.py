"""Load every data set and print what it holds: ``python -m benchmarks.data``."""

from __future__ import annotations

import time

import numpy as np

from .._report import aligned
from . import LOADERS


def main() -> None:
    rows = []
    for name, load in LOADERS.items():
        start = time.perf_counter()
        X, y, _ = load()
        seconds = time.perf_counter() - start
        target = f"{y.mean():.1%} positive" if y.dtype.kind == "i" else "regression"
        rows.append([name, f"{X.shape[0]:,}", str(X.shape[1]), f"{int(np.isnan(X).sum()):,}", target, f"{seconds:.2f}"])
    print(aligned(["data", "rows", "features", "missing", "target", "load s"], rows))


if __name__ == "__main__":
    main()
