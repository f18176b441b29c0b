"""Load every data set and print what it holds: ``python -m benchmarks.data [--gallery]``."""

from __future__ import annotations

import argparse
import time

import numpy as np

from fhe_estimators import datasets

from .._report import aligned
from . import LOADERS

#: What the examples gallery uses.
GALLERY = (
    datasets.fetch_credit_default,
    datasets.fetch_german_credit,
    datasets.fetch_heart_disease,
    datasets.fetch_protein_structure,
    datasets.fetch_smollm2,
    datasets.fetch_spam_assassin,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__.partition(":")[0])
    parser.add_argument("--gallery", action="store_true", help="only fetch what the examples gallery uses")
    if parser.parse_args().gallery:
        for fetch in GALLERY:
            fetch()
    else:
        print_table()


def print_table() -> None:
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
