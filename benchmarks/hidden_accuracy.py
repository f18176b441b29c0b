"""What hiding thresholds costs in accuracy: float models beside models on 6 and 8 bits of each feature, in the clear.

``python -m benchmarks.hidden_accuracy [--only KEY ...] [--output FILE]``. Every model is trained on three quarters of
the data and scored on the rest. The integers of an encrypted prediction are those of the model on bins in the clear, so
these are the accuracies of encrypted predictions, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.quantizers import UniformQuantizer

from ._report import describe_machine, markdown
from ._workloads import forest_50x4, xgboost_50x3
from .data import load_adult, load_census_income, load_spambase

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "hidden_accuracy.md"
N_BITS = (6, 8)


def _of(load: Callable[[], Any]) -> Callable[[], tuple[Any, Any]]:
    return lambda: tuple(load()[:2])


def _synthetic() -> tuple[Any, Any]:
    return make_classification(20_000, 20, n_informative=10, random_state=0)


def _default_forest() -> Any:
    return RandomForestClassifier(random_state=0)


#: Model, data, how to make the one and load the other.
WORKLOADS: dict[str, tuple[str, str, Callable[[], Any], Callable[[], tuple[Any, Any]]]] = {
    "xgb-breast": ("XGBoost 50 x 3", "breast cancer", xgboost_50x3, lambda: load_breast_cancer(return_X_y=True)),
    "forest-breast": ("forest 50 x 4", "breast cancer", forest_50x4, lambda: load_breast_cancer(return_X_y=True)),
    "default-breast": ("default forest", "breast cancer", _default_forest, lambda: load_breast_cancer(return_X_y=True)),
    "xgb-spam": ("XGBoost 50 x 3", "spambase", xgboost_50x3, _of(load_spambase)),
    "forest-spam": ("forest 50 x 4", "spambase", forest_50x4, _of(load_spambase)),
    "xgb-wine": ("XGBoost 50 x 3 x 3 classes", "wine", xgboost_50x3, lambda: load_wine(return_X_y=True)),
    "xgb-digits": ("XGBoost 50 x 3 x 10 classes", "digits", xgboost_50x3, lambda: load_digits(return_X_y=True)),
    "xgb-diabetes": (
        "XGBoost regression 50 x 3",
        "diabetes",
        lambda: XGBRegressor(n_estimators=50, max_depth=3, learning_rate=0.1, random_state=0),
        lambda: load_diabetes(return_X_y=True),
    ),
    "xgb-synthetic": (
        "XGBoost 300 x depth 8",
        "20,000 x 20, synthetic",
        lambda: XGBClassifier(n_estimators=300, max_depth=8, random_state=0, n_jobs=1),
        _synthetic,
    ),
    "lgbm-synthetic": (
        "LightGBM 500 x 63 leaves",
        "20,000 x 20, synthetic",
        lambda: LGBMClassifier(n_estimators=500, num_leaves=63, random_state=0, n_jobs=1, verbose=-1),
        _synthetic,
    ),
    "default-synthetic": ("default forest", "20,000 x 20, synthetic", _default_forest, _synthetic),
    "lgbm-census": (
        "LightGBM 500 x 31 leaves",
        "census income",
        lambda: LGBMClassifier(n_estimators=500, num_leaves=31, random_state=0, n_jobs=1, verbose=-1),
        _of(load_census_income),
    ),
    "default-adult": ("default forest", "adult", _default_forest, _of(load_adult)),
}


def accuracies(key: str) -> list[float]:
    """Accuracy (of regressors, R squared) of the float model, and with each number of bits."""
    _, _, make, load = WORKLOADS[key]
    X, y = load()
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    estimator_class = FHERegressor if isinstance(make(), XGBRegressor) else FHEClassifier
    floats = float(make().fit(X_train, y_train).score(X_test, y_test))
    binned = [
        estimator_class(make(), quantizer=UniformQuantizer(n_bits), backend="clear").fit(X_train, y_train)
        for n_bits in N_BITS
    ]
    return [floats, *(float(model.score(X_test, y_test)) for model in binned)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.hidden_accuracy", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--only", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS), metavar="KEY")
    parser.add_argument("--output", type=Path, default=RESULTS, help="file of the table")
    options = parser.parse_args(arguments)
    rows = []
    for key in options.only:
        rows.append([*WORKLOADS[key][:2], *(f"{value:.4f}" for value in accuracies(key))])
        print(" | ".join(rows[-1]), flush=True)
    header = ("model", "data", "float", *(f"hidden, {n_bits} bits" for n_bits in N_BITS))
    options.output.write_text(f"{markdown(header, rows)}\n\n{describe_machine()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
