"""Seconds against rows of a request: each engine alone, and the automatic choice. A table, a CSV file and a plot.

``python -m benchmarks.rows [--model xgboost ...] [--rows 1 10 ...] [--repeat 3] [--output FOLDER]``. Engines take
turns, and each point is the fastest of its runs, so that what else the machine does is in none of them.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

from fhe_estimators import FHEClassifier
from fhe_estimators.quantizers import UniformQuantizer

from ._report import aligned, describe_machine, seconds
from ._workloads import forest_50x4, resampled, xgboost_50x3

FIGURES = Path(__file__).parents[1] / "docs" / "figures"
#: Label, model, quantizer.
MODELS = {
    "xgboost": ("XGBoost 50 x 3, thresholds known", xgboost_50x3, "threshold"),
    "xgboost-hidden": ("XGBoost 50 x 3, thresholds hidden (6 bits)", xgboost_50x3, UniformQuantizer(6)),
    "forest": ("forest 50 x 4, thresholds known", forest_50x4, "threshold"),
}
ENGINES = ("bfv", "ckks", "auto")
ROWS = (1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 100, 200, 500, 1000, 2000, 5000)
#: An engine that took longer is not asked for more rows.
LONGEST_SECONDS = 15.0
COLUMNS = ("model", "engine", "rows", "seconds", "predicted_seconds", "chosen", "crossing_rows", "exact")


class Deployment:
    """Client and server of a model under one engine."""

    def __init__(self, key: str, engine: str):
        _, model, quantizer = MODELS[key]
        X, y = load_breast_cancer(return_X_y=True)
        self.estimator = FHEClassifier(model(), quantizer=quantizer, backend=engine).fit(X[::2], y[::2]).compile()
        self.program, backend = self.estimator.program_, self.estimator.backend_
        self.client, self.server = backend.client(self.program.client_spec), backend.evaluator(self.program)
        self.keys = self.client.generate_keys()
        self.sums: np.ndarray | None = None

    def run(self, codes: np.ndarray) -> float:
        """Seconds of encryption, evaluation and decryption."""
        start = time.perf_counter()
        request = self.client.encrypt(codes)
        self.sums = self.client.decrypt(self.server.run(request, self.keys), request)
        return time.perf_counter() - start


def measure_model(key: str, rows: Sequence[int], repeat: int) -> list[dict[str, Any]]:
    deployments = {engine: Deployment(key, engine) for engine in ENGINES}
    X, points = load_breast_cancer(return_X_y=True)[0], []
    for n_rows in rows:
        print(f"measuring {key}, {n_rows:,} rows ...", file=sys.stderr)
        codes = {engine: one.estimator.quantize(resampled(X, n_rows)) for engine, one in deployments.items()}
        runs: dict[str, list[float]] = {engine: [] for engine in deployments}
        for turn in range(repeat + 1):  # the first encodes what later ones find encoded
            for engine, one in deployments.items():
                if not turn or runs[engine][-1] < LONGEST_SECONDS:
                    runs[engine].append(one.run(codes[engine]))
        for engine, one in list(deployments.items()):
            points.append(
                {
                    "model": key,
                    "engine": engine,
                    "rows": n_rows,
                    "seconds": round(min(runs[engine]), 5),
                    "predicted_seconds": round(one.program.predicted_seconds(n_rows), 5),
                    "chosen": one.program.engine_for(n_rows),
                    "crossing_rows": one.program.describe().get("crossing_rows"),
                    "exact": bool(np.array_equal(one.sums, one.estimator.sum_leaves(codes[engine]))),
                }
            )
            if points[-1]["seconds"] > LONGEST_SECONDS:
                del deployments[engine]
    return points


def slowdown(points: Sequence[dict[str, Any]], key: str, n_rows: int) -> float | None:
    """How much longer the automatic choice took than the faster engine alone, as a ratio."""
    at = {p["engine"]: p["seconds"] for p in points if (p["model"], p["rows"]) == (key, n_rows)}
    alone = [at[engine] for engine in ("bfv", "ckks") if engine in at]
    return at["auto"] / min(alone) if "auto" in at and alone else None


def print_table(points: Sequence[dict[str, Any]]) -> None:
    table = []
    for key, n_rows in dict.fromkeys((p["model"], p["rows"]) for p in points):
        at = {p["engine"]: p for p in points if (p["model"], p["rows"]) == (key, n_rows)}
        cells = [_cell(at.get(engine)) for engine in ENGINES]
        chosen = at["auto"]["chosen"] if "auto" in at else "-"
        ratio = slowdown(points, key, n_rows)
        table.append([key, f"{n_rows:,}", *cells, chosen, "-" if ratio is None else f"{ratio:.2f}"])
    print(aligned(("model", "rows", *(f"{e} s (predicted)" for e in ENGINES), "chosen", "auto / best"), table))


def _cell(point: dict[str, Any] | None) -> str:
    return "-" if point is None else f"{seconds(point['seconds'])} ({seconds(point['predicted_seconds'])})"


def plot(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Seconds of each engine and of the choice, both axes logarithmic, a panel a model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    keys = list(dict.fromkeys(point["model"] for point in points))
    figure, panels = plt.subplots(1, len(keys), figsize=(4.6 * len(keys), 4.2), sharey=True, squeeze=False)
    for key, axes in zip(keys, panels[0], strict=True):
        for engine, style in (("bfv", "s-"), ("ckks", "o-"), ("auto", "k--")):
            of_engine = [p for p in points if (p["model"], p["engine"]) == (key, engine)]
            width = {"linewidth": 2, "zorder": 3} if engine == "auto" else {"markersize": 5, "alpha": 0.8}
            axes.plot([p["rows"] for p in of_engine], [p["seconds"] for p in of_engine], style, label=engine, **width)
        crossing = next(p["crossing_rows"] for p in points if (p["model"], p["engine"]) == (key, "auto"))
        if crossing is not None:
            axes.axvline(crossing, color="0.6", linestyle=":", label=f"crossing predicted: {crossing} rows")
        axes.set(xscale="log", yscale="log", xlabel="rows of a request", title=MODELS[key][0])
        axes.title.set_fontsize("medium")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False, fontsize="small")
    panels[0, 0].set_ylabel("seconds, from rows to scores")
    figure.suptitle("Breast cancer: each engine alone, and the automatic choice")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    points = [point for key in options.model for point in measure_model(key, options.rows, options.repeat)]
    print_table(points)
    print(f"\nThe fastest of up to {options.repeat} runs, engines in turn. {describe_machine()}")
    options.output.mkdir(parents=True, exist_ok=True)
    with (options.output / "engines_by_rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(points)
    plot(points, options.output / "engines_by_rows.png")
    return int(not all(point["exact"] for point in points))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rows", description=__doc__.partition("\n")[0])
    parser.add_argument("--model", nargs="+", choices=list(MODELS), default=list(MODELS), help="models to measure")
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS), help="rows of the requests")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each point (default: 3)")
    parser.add_argument("--output", type=Path, default=FIGURES, help="folder of the CSV file and the plot")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
