"""Load every data set and print what it holds: ``python -m benchmarks.data [--gallery]``."""

from __future__ import annotations

import argparse
import time

import numpy as np

from .._report import aligned
from . import LOADERS
from ._language import smollm2_folder, spam_assassin

#: What the examples gallery uses, a language model and mails apart.
GALLERY = ("casp", "credit default", "german credit", "heart-h")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__.partition(":")[0])
    parser.add_argument("--gallery", action="store_true", help="only fetch what the examples gallery uses")
    if parser.parse_args().gallery:
        for name in GALLERY:
            LOADERS[name]()
        smollm2_folder()
        spam_assassin()
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
