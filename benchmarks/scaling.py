"""How the cost of trees with rows in slots grows with trees, depth and rows: a table, a CSV file and a plot.

``python -m benchmarks.scaling [--sweep trees depth rows] [--repeat 3] [--n-jobs N] [--quick]``
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from xgboost import XGBClassifier

from fhe_estimators import FHEClassifier

from ._phases import clear_sums, measure
from ._report import aligned, describe_machine, seconds, size
from ._workloads import resampled
from .data import load_adult

FIGURES = Path(__file__).parents[1] / "docs" / "figures"

#: What stays fixed while one of them varies.
BASE = {"trees": 50, "depth": 3, "rows": 4096}
SWEEPS = {
    "trees": (10, 20, 50, 100, 200, 500),
    "depth": (2, 3, 4, 5, 6, 7, 8),
    "rows": (1, 10, 100, 1_000, 4_096, 10_000, 30_000, 100_000),
}
PHASES = ("encrypt", "evaluate", "decrypt")
COLUMNS = (
    *("sweep", "trees", "depth", "rows", "inner_nodes", "comparisons", "poly_modulus_degree", "batches"),
    *("compile_seconds", "keygen_seconds", *(f"{phase}_seconds" for phase in PHASES), "total_seconds"),
    *("key_bytes", "request_bytes", "response_bytes", "exact"),
)


def run_point(sweep: str, point: dict[str, int], data: Any, repeat: int, n_jobs: int | None) -> dict[str, Any]:
    """Measure one point of a curve."""
    model = XGBClassifier(
        n_estimators=point["trees"], max_depth=point["depth"], learning_rate=0.1, random_state=0, n_jobs=2
    )
    estimator = FHEClassifier(model, backend="ckks").fit(data.X, data.y)
    X = resampled(data.X, point["rows"])
    phases = measure(estimator, X, repeat=repeat, n_jobs=n_jobs)
    facts = estimator.program_.describe()
    return {
        "sweep": sweep,
        **point,
        "inner_nodes": int((~estimator.ensemble_.is_leaf).sum()),
        "comparisons": facts["n_ciphertexts"],
        "poly_modulus_degree": facts["poly_modulus_degree"],
        "batches": -(-len(X) // (facts["poly_modulus_degree"] // 2)),
        **{f"{phase}_seconds": round(phases.median(phase), 6) for phase in ("compile", "keygen", *PHASES)},
        "total_seconds": round(phases.total(), 6),
        "key_bytes": phases.key_bytes,
        "request_bytes": phases.request_bytes,
        "response_bytes": phases.response_bytes,
        "exact": bool(np.array_equal(phases.sums, clear_sums(estimator, X))),
    }


def run_sweeps(sweeps: Sequence[str], repeat: int, n_jobs: int | None, quick: bool) -> list[dict[str, Any]]:
    data = load_adult()
    points = []
    for sweep in sweeps:
        values = SWEEPS[sweep][::3] if quick else SWEEPS[sweep]
        for value in values:
            print(f"measuring {sweep} = {value:,} ...", file=sys.stderr)
            points.append(run_point(sweep, {**BASE, sweep: value}, data, repeat, n_jobs))
    return points


def print_table(points: Sequence[dict[str, Any]]) -> None:
    header = ["sweep", "trees", "depth", "rows", "nodes", "comparisons", "N", "batches"]
    header += ["encrypt s", "evaluate s", "decrypt s", "us/node/batch", "keys", "upload", "download", "exact"]
    print(aligned(header, [_cells(point) for point in points]))


def _cells(point: dict[str, Any]) -> list[str]:
    counts = ("trees", "depth", "rows", "inner_nodes", "comparisons", "poly_modulus_degree", "batches")
    return [
        point["sweep"],
        *(f"{point[name]:,}" for name in counts),
        *(seconds(point[f"{phase}_seconds"]) for phase in PHASES),
        f"{1e6 * point['evaluate_seconds'] / point['inner_nodes'] / point['batches']:.0f}",
        *(size(point[f"{name}_bytes"]) for name in ("key", "request", "response")),
        "yes" if point["exact"] else "NO",
    ]


def write_csv(points: Sequence[dict[str, Any]], path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(points)


_X_LABELS = {
    "trees": "trees (depth {depth}, {rows:,} rows)",
    "depth": "depth of the trees ({trees} trees, {rows:,} rows)",
    "rows": "rows ({trees} trees of depth {depth})",
}


def plot(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Seconds of each phase along every sweep, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    sweeps = list(dict.fromkeys(point["sweep"] for point in points))
    figure, panels = plt.subplots(1, len(sweeps), figsize=(4.6 * len(sweeps), 4.2), sharey=True, squeeze=False)
    for sweep, axes in zip(sweeps, panels[0], strict=True):
        _draw_sweep(axes, sweep, [point for point in points if point["sweep"] == sweep])
    slowest = max(point[f"{phase}_seconds"] for point in points for phase in PHASES)
    panels[0, 0].set(ylabel="seconds (median)", ylim=(1e-3, 2 * slowest))
    panels[0, 0].legend(frameon=False)
    figure.suptitle("Encrypted XGBoost on adult census income, by phase, on CPU")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _draw_sweep(axes: Any, sweep: str, points: Sequence[dict[str, Any]]) -> None:
    from matplotlib.ticker import NullLocator

    x = np.array([point[sweep] for point in points])
    for phase, marker in zip(PHASES, "so^", strict=True):
        axes.plot(x, [point[f"{phase}_seconds"] for point in points], marker=marker, markersize=5, label=phase)
    axes.set(xscale="log", yscale="log", xlabel=_X_LABELS[sweep].format(**BASE))
    if sweep == "rows":
        axes.axvline(points[0]["poly_modulus_degree"] // 2, color="0.6", linestyle=":", label="one full batch")
    else:
        axes.set_xticks(x, [str(value) for value in x])
        axes.xaxis.set_minor_locator(NullLocator())
    linear = sweep != "depth"
    if linear:  # a guide of slope 1 through the last point of the evaluation
        last = points[-1]["evaluate_seconds"]
        axes.plot(x, last * x / x[-1], color="0.6", linestyle="--", linewidth=1, zorder=0, label="linear")
    axes.grid(alpha=0.3)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    points = run_sweeps(options.sweep, options.repeat, options.n_jobs, options.quick)
    print_table(points)
    print(f"\nMedians of up to {options.repeat} runs. {describe_machine()}")
    options.output.mkdir(parents=True, exist_ok=True)
    write_csv(points, options.output / "tree_scaling.csv")
    plot(points, options.output / "tree_scaling.png")
    return int(not all(point["exact"] for point in points))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.partition("\n")[0])
    parser.add_argument("--sweep", nargs="+", choices=list(SWEEPS), default=list(SWEEPS), help="what to vary")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each phase (default: 3)")
    parser.add_argument("--n-jobs", type=int, help="processes of the server (default: 1)")
    parser.add_argument("--quick", action="store_true", help="every third point only")
    parser.add_argument("--output", type=Path, default=FIGURES, help="folder of the CSV file and the plot")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
