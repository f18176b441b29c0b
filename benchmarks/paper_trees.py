"""The experiments of *Privacy-Preserving Tree-Based Inference with Fully Homomorphic Encryption*, on its six data sets.

``python -m benchmarks.paper_trees accuracy | latency`` writes Markdown, CSV files and plots to ``docs/results``.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split

from fhe_estimators import FHEDecisionTreeClassifier, FHEGradientBoostingClassifier, FHERandomForestClassifier
from fhe_estimators.backends.tfhe import TFHEBackend
from fhe_estimators.exceptions import ParameterSelectionError
from fhe_estimators.quantizers import UniformQuantizer

from ._phases import clear_sums, measure
from ._report import describe_machine, markdown, seconds, size
from .data import LOADERS

RESULTS = Path(__file__).parents[1] / "docs" / "results"
DATA = ("spambase", "wine", "heart-h", "wdbc", "adult", "steel")
FLOAT = 0  # stands for float32 among the numbers of bits
BITS = (FLOAT, *range(1, 10))
METRICS = ("accuracy", "f1", "average_precision")
MODELS = {
    "decision tree": FHEDecisionTreeClassifier(max_depth=5, random_state=0),
    "XGBoost": FHEGradientBoostingClassifier(library="xgboost", n_estimators=50, max_depth=3, random_state=0, n_jobs=1),
    "random forest": FHERandomForestClassifier(n_estimators=50, max_depth=4, random_state=0),
}
#: Accuracy in percent as published: encrypted with 6 bits, on DATA; and of XGBoost's average precision with 1 to 9 bits
#: the ratio to float32.
PUBLISHED_ACCURACY = {
    "decision tree": (91.0, 90.8, 61.0, 94.2, 83.6, 97.2),
    "XGBoost": (94.5, 97.0, 65.4, 96.8, 85.3, 100.0),
    "random forest": (90.9, 98.5, 66.8, 95.6, 83.4, 96.9),
}
PUBLISHED_RATIO = (0.44, 0.69, 0.88, 0.94, 0.97, 0.99, 0.99, 1.00, 1.00)


def scores(y: np.ndarray, probabilities: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """The three metrics; averages over classes if there are more than two."""
    binary = len(classes) == 2
    predicted = classes[probabilities.argmax(axis=1)]
    precision = (
        average_precision_score(y == classes[1], probabilities[:, 1])
        if binary
        else average_precision_score(y[:, None] == classes, probabilities, average="macro")
    )
    return {
        "accuracy": accuracy_score(y, predicted),
        "f1": f1_score(y, predicted, average="binary" if binary else "macro"),
        "average_precision": precision,
    }


def fold(data: str, model: str, bits: int, split: int, train: np.ndarray, test: np.ndarray, encrypt: bool) -> Any:
    """Metrics of one model on one fold; with ``encrypt`` also how many encrypted rows equal the clear ones."""
    X, y, _ = LOADERS[data]()
    estimator = clone(MODELS[model])
    if bits != FLOAT:
        estimator.set_params(quantizer=UniformQuantizer(bits))
    estimator.fit(X[train], y[train])
    if bits == FLOAT:
        probabilities = estimator.estimator_.predict_proba(X[test])
    else:
        probabilities = estimator.predict_proba(X[test], fhe="disable")
    row = {"data": data, "model": model, "bits": bits, "split": split}
    row |= scores(y[test], probabilities, estimator.classes_)
    if encrypt:
        estimator.compile()
        found = estimator.predict_proba(X[test], fhe="execute")
        row |= {"encrypted_rows": len(test), "equal_rows": int((found == probabilities).all(axis=1).sum())}
    return row


def accuracy_tasks(names: Sequence[str], repeats: int, encrypted_bits: Sequence[int]) -> Iterator[Any]:
    for name in names:
        X, y, _ = LOADERS[name]()
        folds = RepeatedStratifiedKFold(n_splits=5, n_repeats=repeats, random_state=0)
        for split, (train, test) in enumerate(folds.split(X, y)):
            for model in MODELS:
                for bits in BITS:
                    yield delayed(fold)(
                        name, model, bits, split, train, test, encrypt=split == 0 and bits in encrypted_bits
                    )


def accuracy_markdown(frame: pd.DataFrame) -> str:
    """Float32 beside 6 bits, with what was published."""
    rows = []
    for model in MODELS:
        for column, data in enumerate(DATA):
            here = frame[(frame.model == model) & (frame.data == data)]
            if here.empty:
                continue
            by_bits = here.groupby("bits")[list(METRICS)]
            mean, deviation = by_bits.mean(), by_bits.std()
            cells = [
                f"{100 * mean.loc[bits, metric]:.1f} ± {100 * deviation.loc[bits, metric]:.1f}"
                for metric in METRICS
                for bits in (FLOAT, 6)
            ]
            rows.append([f"{model}, {data}", *cells, f"{PUBLISHED_ACCURACY[model][column]:.1f}"])
    header = ["percent", "accuracy, float32", "6 bits", "F1, float32", "6 bits"]
    header += ["average precision, float32", "6 bits", "accuracy published, 6 bits"]
    return markdown(header, rows)


def precision_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Average precision with n bits over that of float32; a row a model and data set, a column every n."""
    mean = frame.groupby(["model", "data", "bits"])["average_precision"].mean().unstack("bits")
    return mean.div(mean[FLOAT], axis=0)


def ratio_markdown(frame: pd.DataFrame) -> str:
    ratios = precision_ratios(frame)
    lines = {f"{model}, mean of the data sets": ratios.loc[model].mean() for model in MODELS}
    lines |= {f"XGBoost, {data}": ratios.loc["XGBoost", data] for data in frame.data.unique()}
    rows = [[name, *(f"{line[bits]:.2f}" for bits in BITS[1:])] for name, line in lines.items()]
    rows.append(["XGBoost, published", *(f"{ratio:.2f}" for ratio in PUBLISHED_RATIO)])
    return markdown(["average precision over that of float32, bits:", *map(str, BITS[1:])], rows)


def plot_accuracy(frame: pd.DataFrame, path: Path) -> None:
    """Average precision against bits: a panel a data set."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 6.4), layout="constrained")
    panels = figure.subplots(2, 3, sharex=True)
    for axes, data in zip(panels.flat, DATA, strict=True):
        for number, model in enumerate(MODELS):
            here = frame[(frame.model == model) & (frame.data == data)].groupby("bits")["average_precision"]
            mean, deviation = here.mean(), here.std()
            axes.errorbar(BITS[1:], mean[1:], deviation[1:], color=f"C{number}", marker="o", markersize=4, label=model)
            axes.axhline(mean[FLOAT], color=f"C{number}", linestyle="--", linewidth=1)
        axes.set(title=data, xticks=BITS[1:])
        axes.grid(alpha=0.3)
    for axes in panels[1]:
        axes.set_xlabel("bits per feature")
    for axes in panels[:, 0]:
        axes.set_ylabel("average precision")
    panels[0, 0].legend(frameon=False, title="dashed: float32")
    figure.savefig(path, dpi=120)


def run_accuracy(options: argparse.Namespace) -> None:
    tasks = accuracy_tasks(options.data, options.repeats, options.encrypted_bits)
    frame = pd.DataFrame(Parallel(n_jobs=2, verbose=2)(tasks))
    summary = frame.groupby(["data", "model", "bits"])[list(METRICS)].agg(["mean", "std"]).round(5)
    summary.columns = [f"{metric}_{what}" for metric, what in summary.columns]
    summary.to_csv(options.output / "paper_accuracy.csv")
    encrypted = frame.dropna(subset=["encrypted_rows"])
    text = [
        accuracy_markdown(frame),
        "Mean ± standard deviation over 5 folds, repeated 3 times.",
        ratio_markdown(frame),
        f"Encrypted for real (ckks, the first fold, {', '.join(map(str, options.encrypted_bits))} bits, all models and "
        f"data sets): {int(encrypted.encrypted_rows.sum()):,} rows, of which {int(encrypted.equal_rows.sum()):,} have "
        "exactly the probabilities of the quantized model in the clear.",
        describe_machine(),
    ]
    (options.output / "paper_accuracy.md").write_text("\n\n".join(text) + "\n")
    if set(options.data) == set(DATA):
        plot_accuracy(frame, options.output / "paper_accuracy.png")
    print("\n\n".join(text))


def latency(model: str, data: str, bits: int, comparison: str, p_error: float, rows: int = 2) -> dict[str, Any] | None:
    """Seconds of a row by the `tfhe` engine; None if parameters of 128 bits do not exist."""
    X, y, _ = LOADERS[data]()
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=0)
    estimator = clone(MODELS[model]).set_params(
        quantizer=UniformQuantizer(bits), backend=TFHEBackend(comparison, p_error)
    )
    estimator.fit(X_train, y_train)
    try:
        estimator.compile()
    except ParameterSelectionError:
        return None
    phases = measure(estimator, X_test[:rows], repeat=1)
    facts = estimator.program_.describe()
    return {
        "model": model,
        "data": data,
        "bits": bits,
        "comparison": comparison,
        "p_error": p_error,
        "nodes": int((~estimator.ensemble_.is_leaf).sum()),
        "bootstraps": facts["n_programmable_bootstraps"],
        "seconds_a_row": phases.total() / rows,
        "key_bytes": phases.key_bytes,
        "request_bytes": phases.request_bytes // rows,
        "response_bytes": phases.response_bytes // rows,
        "exact": bool(np.array_equal(phases.sums, clear_sums(estimator, X_test[:rows]))),
    }


def latency_markdown(results: Sequence[dict[str, Any]]) -> str:
    rows = [
        [
            f"{result['model']}, {result['data']}",
            result["comparison"],
            str(result["bits"]),
            f"{result['p_error']:.1e}",
            str(result["nodes"]),
            str(result["bootstraps"]),
            seconds(result["seconds_a_row"]),
            *(size(result[f"{what}_bytes"]) for what in ("key", "request", "response")),
            "yes" if result["exact"] else "NO",
        ]
        for result in results
    ]
    header = ["tfhe", "comparison by", "bits", "p_error", "nodes", "PBS", "seconds per row"]
    return markdown([*header, "keys", "upload a row", "answer a row", "exact"], rows)


def plot_latency(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Seconds a row against bits, and against the probability of failure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    swept = [result for result in results if result["sweep"] == "bits"]
    for number, model in enumerate(MODELS):
        for comparison, style in (("server", "-o"), ("client", "--s")):
            here = [r for r in swept if r["model"] == model and r["comparison"] == comparison]
            label = f"{model}, {comparison} compares"
            x, y = [r["bits"] for r in here], [r["seconds_a_row"] for r in here]
            left.plot(x, y, style, color=f"C{number}", markersize=4, label=label)
    left.set(xlabel="bits per feature", ylabel="seconds per row", yscale="log")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    failing = sorted((r for r in results if r["sweep"] == "p_error"), key=lambda r: r["p_error"])
    right.plot([r["p_error"] for r in failing], [r["seconds_a_row"] for r in failing], "-o")
    right.set(xlabel="probability that a row fails, at most", ylabel="seconds per row", xscale="log", ylim=(0, None))
    right.set_title("XGBoost, 6 bits, server compares", fontsize="medium")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def run_latency(options: argparse.Namespace) -> None:
    points = [
        ("bits", model, bits, comparison, 2.0**-40)
        for model in MODELS
        for comparison in ("client", "server")
        for bits in range(2, 9)
    ]
    points += [("p_error", "XGBoost", 6, "server", 2.0**-exponent) for exponent in (5, 10, 20, 30, 40, 50, 60)]
    results, refused = [], []
    for sweep, model, bits, comparison, p_error in points:
        result = latency(model, "wdbc", bits, comparison, p_error)
        if result is None:
            refused.append(f"{model}, {bits} bits, {comparison}, p_error={p_error:.1e}")
        else:
            results.append({"sweep": sweep, **result})
            print(results[-1], flush=True)
    with (options.output / "paper_latency.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(results[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(results)
    text = [
        latency_markdown(results),
        f"Refused, for want of parameters: {'; '.join(refused) or 'none'}.",
        describe_machine(),
    ]
    (options.output / "paper_latency.md").write_text("\n\n".join(text) + "\n")
    plot_latency(results, options.output / "paper_latency.png")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper_trees", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("accuracy", "latency"))
    parser.add_argument("--data", nargs="+", choices=DATA, default=DATA)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--encrypted-bits", type=int, nargs="*", default=[3, 6])
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    (run_accuracy if options.what == "accuracy" else run_latency)(options)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
