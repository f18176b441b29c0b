"""Peers in environments of their own.

``python -m benchmarks.peers trees [--models xgboost forest tree] [--output FILE]`` writes the table;
``python -m benchmarks.peers environment NAME`` prints a peer's Python, and makes its environment first if need be.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from . import REQUIREMENTS, environment
from .trees import MODELS, RESULTS, compare_trees


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    trees = commands.add_parser("trees")
    trees.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    trees.add_argument("--output", type=Path, default=RESULTS)
    commands.add_parser("environment").add_argument("name", choices=list(REQUIREMENTS))
    options = parser.parse_args(arguments)
    if options.command == "environment":
        print(environment(options.name))
    else:
        compare_trees(options.models, options.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
