"""The same tree models, rows and machine: our engines, Concrete ML, and TenSEAL used by hand."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier

from fhe_estimators import FHEClassifier
from fhe_estimators.backends.tfhe import TFHEBackend
from fhe_estimators.quantizers import UniformQuantizer

from .._isolation import isolated
from .._phases import clear_sums, measure
from .._report import describe_machine, markdown, seconds, size
from .._workloads import forest_50x4, resampled, xgboost_50x3
from . import installed_bytes, run_peer
from .tenseal_vectors import run as run_tenseal

RESULTS = Path(__file__).parents[2] / "docs" / "results" / "peers.md"
MODELS = {
    "xgboost": ("XGBoost 50 x 3", lambda: xgboost_50x3()),
    "forest": ("forest 50 x 4", lambda: forest_50x4()),
    "tree": ("tree, depth 5", lambda: DecisionTreeClassifier(max_depth=5, random_state=0)),
}
SIZES = (1, 100, 4096)
#: Rows that engines without batches score; times of more rows are extrapolated.
N_ROWS_ONE_BY_ONE = 2
N_BITS = 6


def split() -> tuple[np.ndarray, ...]:
    X, y = load_breast_cancer(return_X_y=True)
    return train_test_split(X, y, random_state=0)


def ours(key: str, engine: str) -> dict[str, Any]:
    """Figures of one of our engines, and labels of the test set."""
    X_train, X_test, y_train, y_test = split()
    model = MODELS[key][1]().fit(X_train, y_train)
    if engine == "tfhe, server compares":  # codes of as many bits as Concrete ML's
        settings = {"quantizer": UniformQuantizer(N_BITS), "backend": TFHEBackend("server")}
        estimator = FHEClassifier(MODELS[key][1](), **settings).fit(X_train, y_train)
    elif engine == "auto, hidden":
        settings = {"quantizer": UniformQuantizer(N_BITS), "backend": "auto"}
        estimator = FHEClassifier(MODELS[key][1](), **settings).fit(X_train, y_train)
    else:
        estimator = FHEClassifier.from_fitted(model, backend=engine)
    batched = engine.startswith(("ckks", "auto"))
    totals, exact = {}, True
    for n_rows in SIZES if batched else (N_ROWS_ONE_BY_ONE,):
        rows = resampled(X_test, n_rows)
        phases = measure(estimator, rows, repeat=3 if batched else 1)
        totals[n_rows] = phases.total()
        exact &= bool(np.array_equal(phases.sums, clear_sums(estimator, rows)))
        if n_rows <= N_ROWS_ONE_BY_ONE:
            of_one = {f"{name}_bytes": getattr(phases, f"{name}_bytes") // n_rows for name in ("request", "response")}
            of_one["key_bytes"] = phases.key_bytes
            of_one |= {f"{name}_seconds": phases.median(name) for name in ("compile", "keygen")}
    labels = estimator.predict(X_test)  # which `exact` says encrypted ones equal
    return {
        **of_one,
        "totals": totals,
        "exact": exact,
        "accuracy": float(np.mean(labels == y_test)),
        "equal_to_float": int(np.sum(labels == model.predict(X_test))),
    }


def by_tenseal(key: str) -> dict[str, Any]:
    X_train, X_test, y_train, y_test = split()
    model = MODELS[key][1]().fit(X_train, y_train)
    totals = {}
    for n_rows in SIZES:
        result = run_tenseal(model, resampled(X_test, n_rows))
        totals[n_rows] = sum(result[f"{phase}_seconds"] for phase in ("encrypt", "evaluate", "decrypt"))
        if n_rows == 1:
            of_one = {name: result[name] for name in result if name.endswith("_bytes")}
    labels = np.array(run_tenseal(model, X_test)["labels"])
    return {
        **of_one,
        "keygen_seconds": result["keygen_seconds"],
        "totals": totals,
        "exact": False,
        "accuracy": float(np.mean(labels == y_test)),
        "equal_to_float": int(np.sum(labels == model.predict(X_test))),
    }


def by_concrete_ml(key: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.npz")
        np.savez(path, **dict(zip(("X_train", "X_test", "y_train", "y_test"), split(), strict=True)))
        result = run_peer("concrete_ml_trees", str(path), key, str(N_BITS), str(N_ROWS_ONE_BY_ONE))
    a_row = sum(result[f"{phase}_seconds"] for phase in ("encrypt", "evaluate", "decrypt"))
    exact = result["encrypted_equal_to_clear"] == result["n_encrypted"]
    return {**result, "totals": {N_ROWS_ONE_BY_ONE: N_ROWS_ONE_BY_ONE * a_row}, "exact": exact}


SYSTEMS = {
    "fhe_estimators, auto": lambda key: isolated(ours, key, "auto"),
    "fhe_estimators, ckks": lambda key: isolated(ours, key, "ckks"),
    "fhe_estimators, tfhe": lambda key: isolated(ours, key, "tfhe"),
    "TenSEAL by hand": lambda key: isolated(by_tenseal, key),
    f"fhe_estimators, auto, {N_BITS} bits": lambda key: isolated(ours, key, "auto, hidden"),
    f"fhe_estimators, tfhe, server compares, {N_BITS} bits": lambda key: isolated(ours, key, "tfhe, server compares"),
    f"Concrete ML 1.9.0, {N_BITS} bits": by_concrete_ml,
}
#: What a client learns of the model's thresholds, which decides what may be compared with what.
_HIDDEN = f", {N_BITS} bits"


def cells(key: str, system: str, result: dict[str, Any], n_test: int) -> list[str]:
    totals, times = result["totals"], []
    for n_rows in SIZES:
        measured = totals.get(n_rows)
        one_by_one = measured is None
        value = totals[N_ROWS_ONE_BY_ONE] / N_ROWS_ONE_BY_ONE * n_rows if one_by_one else measured
        times.append(("≈ " if one_by_one and n_rows > 1 else "") + seconds(value))
    return [
        f"{MODELS[key][0]}, {system}",
        "hidden" if system.endswith(_HIDDEN) else "known",
        f"{100 * result['accuracy']:.1f} %",
        f"{result['equal_to_float']} of {n_test}",
        seconds(result["compile_seconds"]) if "compile_seconds" in result else "-",
        seconds(result["keygen_seconds"]),
        *times,
        *(size(result[f"{name}_bytes"]) for name in ("key", "request", "response", "peak")),
    ]


HEADER = (
    *("breast cancer", "thresholds", "accuracy", "labels equal to the float model", "compile s", "keys s"),
    *(f"{n_rows:,} row{'s' if n_rows > 1 else ''} s" for n_rows in SIZES),
    *("evaluation keys", "upload a row", "answer a row", "peak memory"),
)
#: As each project states it for the version measured; licences as in the packages.
SUPPORT = (
    ("fhe_estimators, ckks", "fhe_estimators", "3.10 and later", "1.25 and later", "BSD-3-Clause"),
    (
        "fhe_estimators, tfhe",
        "fhe_estimators_tfhe",
        "3.10 to 3.12",
        "1.x",
        "BSD-3-Clause, on BSD-3-Clause-Clear",
    ),
    ("Concrete ML 1.9.0", "concrete_ml", "3.8 to 3.12", "1.x", "BSD-3-Clause-Clear"),
    ("TenSEAL 0.3.18", "tenseal", "3.9 and later", "any", "Apache-2.0"),
)


def compare_trees(keys: Sequence[str], output: Path) -> None:
    n_test, rows = len(split()[1]), []
    for key in keys:
        for system, run in SYSTEMS.items():
            rows.append(cells(key, system, run(key), n_test))
            print(" | ".join(rows[-1]), flush=True)
    support = [
        [name, size(installed_bytes(folder)), python, numpy, licence]
        for name, folder, python, numpy, licence in SUPPORT
    ]
    text = [
        markdown(HEADER, rows),
        "Thresholds: whether clients know those of the model, or they are hidden from them: compare rows of one kind. "
        f"≈: extrapolated from {N_ROWS_ONE_BY_ONE} rows. TenSEAL's scores are approximate; all others are exactly "
        "those of the quantized model in the clear. Peak memory is of training, client and server in one process.",
        markdown(["", "installed", "Python", "numpy", "licence"], support),
        f"{date.today().isoformat()}. {describe_machine()}",
    ]
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text("\n\n".join(text) + "\n")
