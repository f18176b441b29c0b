"""Encrypted tree ensembles on real data: seconds, sizes and exactness as one table.

``python -m benchmarks.trees [--only KEY ...] [--repeat 5] [--rows N] [--n-jobs N] [--markdown] [--json FILE]
[--check]``
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ._isolation import isolated
from ._phases import compare, measure, stop_workers
from ._report import aligned, describe_machine, machine, markdown, seconds, size
from ._workloads import WORKLOADS

_PHASES = ("compile", "keygen", "encrypt", "first evaluate", "evaluate", "decrypt")


def run_workload(key: str, repeat: int, n_jobs: int | None, max_rows: int | None) -> dict[str, Any]:
    """Measure one row of the table; called in a process of its own, so that its peak memory is its own."""
    workload = next(w for w in WORKLOADS if w.key == key)
    start = time.perf_counter()
    estimator, X = workload.build()
    build_seconds = time.perf_counter() - start
    X = X[:max_rows]
    phases = measure(estimator, X, repeat=repeat, n_jobs=n_jobs)
    stop_workers()  # only the memory of ended children is counted
    peak_memory = _peak_memory_bytes(n_jobs)
    agreement = compare(estimator, X, phases.sums, repeat=repeat)
    engine = estimator.program_.engine_for(len(X))
    facts = estimator.program_.programs[engine].describe()
    return {
        "key": key,
        "model": workload.model,
        "data": workload.data,
        "engine": engine,
        "thresholds": "hidden" if estimator.quantizer_.hidden_code_bits else "known",
        "rows": len(X),
        "features": X.shape[1],
        "trees": estimator.ensemble_.n_trees,
        "inner_nodes": int((~estimator.ensemble_.is_leaf).sum()),
        "depth": estimator.ensemble_.depth,
        "poly_modulus_degree": facts["poly_modulus_degree"],
        "security_bits": facts["security_bits"],
        "load_and_fit_seconds": build_seconds,
        **{f"{phase.replace(' ', '_')}_seconds": phases.median(phase) for phase in _PHASES},
        "total_seconds": phases.total(),
        "evaluate_runs_seconds": phases.seconds["evaluate"],
        "clear_predict_seconds": agreement.clear_seconds,
        "exact_rows": agreement.exact_rows,
        "equal_labels": agreement.equal_labels,
        "score_error": agreement.score_error,
        "relative_error": agreement.score_error / agreement.score_range if agreement.score_range else None,
        "key_bytes": phases.key_bytes,
        "request_bytes": phases.request_bytes,
        "response_bytes": phases.response_bytes,
        "peak_memory_bytes": peak_memory,
        "limits": workload.limits,
    }


def _peak_memory_bytes(n_jobs: int | None) -> int:
    """Largest resident set of this process (client, server and training), plus that of its workers."""
    own, worker = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return 1024 * (own + (worker * n_jobs if n_jobs and n_jobs > 1 else 0))


HEADER = (
    *("model", "data", "engine", "thresholds", "rows", "compile s", "keygen s", "encrypt s", "evaluate s", "decrypt s"),
    *("ms/row", "clear s", "exact rows", "equal labels", "max error", "keys", "upload", "download", "peak RSS"),
)


def cells(result: dict[str, Any]) -> list[str]:
    """One row of the table as text."""
    labels, rows = result["equal_labels"], result["rows"]
    return [
        result["model"],
        result["data"],
        result["engine"],
        result["thresholds"],
        f"{rows:,}",
        *(seconds(result[f"{phase}_seconds"]) for phase in ("compile", "keygen", "encrypt", "evaluate", "decrypt")),
        f"{1e3 * result['total_seconds'] / rows:.3g}",
        seconds(result["clear_predict_seconds"]),
        _share(result["exact_rows"], rows),
        "-" if labels is None else _share(labels, rows),
        f"{result['score_error']:.1e}",
        *(size(result[f"{name}_bytes"]) for name in ("key", "request", "response", "peak_memory")),
    ]


def _share(count: int, rows: int) -> str:
    return "all" if count == rows else f"{count:,} of {rows:,}"


def missed_limits(result: dict[str, Any]) -> list[str]:
    """Figures that a row of the table had to reach and did not."""
    missed = [
        f"{name} {result[name]:.4g}, must be at most {limit:.4g}"
        for name, limit in result["limits"].items()
        if result[name] is not None and result[name] > limit
    ]
    if result["exact_rows"] < result["rows"]:
        missed.append(f"{result['rows'] - result['exact_rows']} rows are not exact")
    return [f"{result['key']}: {text}" for text in missed]


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    wanted = [w.key for w in WORKLOADS if not options.only or w.key in options.only]
    results = []
    for key in wanted:
        print(f"measuring {key} ...", file=sys.stderr)
        results.append(isolated(run_workload, key, options.repeat, options.n_jobs, options.rows))
    table = markdown if options.markdown else aligned
    print(table(HEADER, [cells(result) for result in results]))
    print(f"\nMedians of up to {options.repeat} runs. {describe_machine()}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")
    missed = [text for result in results for text in missed_limits(result)]
    print("All figures that must be reached are." if not missed else "Missed:\n  " + "\n  ".join(missed))
    return int(bool(missed) and options.check)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trees", description=__doc__.partition("\n")[0])
    keys = [w.key for w in WORKLOADS]
    parser.add_argument("--only", nargs="+", choices=keys, metavar="KEY", help=f"rows to measure: {', '.join(keys)}")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each phase (default: 5)")
    parser.add_argument("--rows", type=int, help="score at most this many rows (for a quick look)")
    parser.add_argument("--n-jobs", type=int, help="processes of the server (default: 1)")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure to this file")
    parser.add_argument("--check", action="store_true", help="fail if a figure that must be reached is missed")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
