"""What `benchmarks.trees` measures: models, data and the figures they must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.quantizers import UniformQuantizer

from .data import load_adult, load_census_income, load_spambase


@dataclass(frozen=True)
class Workload:
    """A row of the table.

    Attributes
    ----------
    key : str
        For ``--only``.
    model, data : str
        Labels.
    build : callable
        Returns an estimator that is fitted, and the rows to score.
    limits : dict
        Figures that must be reached, by name of a measured quantity: at most.
    """

    key: str
    model: str
    data: str
    build: Callable[[], tuple[Any, np.ndarray]]
    limits: dict[str, float] = field(default_factory=dict)


def resampled(X: np.ndarray, n_rows: int) -> np.ndarray:
    """The rows of ``X``, followed by others drawn from it with noise of 5 % of each feature's deviation."""
    rng = np.random.default_rng(0)
    drawn = X[rng.integers(len(X), size=max(0, n_rows - len(X)))]
    noisy = np.abs(drawn + 0.05 * X.std(axis=0) * rng.standard_normal(drawn.shape))  # all features are positive
    return np.vstack([X[:n_rows], noisy])


def xgboost_50x3(**parameters: Any) -> XGBClassifier:
    return XGBClassifier(**{"n_estimators": 50, "max_depth": 3, "random_state": 0, **parameters})


def forest_50x4() -> RandomForestClassifier:
    return RandomForestClassifier(n_estimators=50, max_depth=4, random_state=0)


def _breast_cancer(
    model: Any, n_rows: int, backend: str = "auto", quantizer: Any = "threshold"
) -> tuple[Any, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=0)
    X_score = X_test[:1] if n_rows == 1 else resampled(X, n_rows)
    return FHEClassifier(model, backend=backend, quantizer=quantizer).fit(X_train, y_train), X_score


def _every_row(estimator: Any, X: np.ndarray, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Train on three quarters of a data set, score all of it."""
    X_train, _, y_train, _ = train_test_split(X, y, random_state=0)
    return estimator.fit(X_train, y_train), X


def _first_row(built: tuple[Any, np.ndarray]) -> tuple[Any, np.ndarray]:
    estimator, X = built
    return estimator, X[:1]


def _spambase(model: Any) -> tuple[Any, np.ndarray]:
    X, y, _ = load_spambase()
    return _every_row(FHEClassifier(model), X, y)


def lightgbm(n_estimators: int, num_leaves: int, **parameters: Any) -> LGBMClassifier:
    settings = {"num_leaves": num_leaves, "random_state": 0, "n_jobs": 2, "verbose": -1, **parameters}
    return LGBMClassifier(n_estimators=n_estimators, **settings)


def _census(model: Any, n_rows: int) -> tuple[Any, np.ndarray]:
    X, y, _ = load_census_income()
    X_train, X_test, y_train, _ = train_test_split(X, y, test_size=8192, random_state=0, stratify=y)
    return FHEClassifier(model).fit(X_train, y_train), X_test[:n_rows]


def _cancer_row(
    key: str, label: str, model: Any, n_rows: int = 4096, quantizer: Any = "threshold", **limits: float
) -> Workload:
    return Workload(key, label, "breast cancer", lambda: _breast_cancer(model, n_rows, quantizer=quantizer), limits)


def _adult_row(quantizer: Any) -> tuple[Any, np.ndarray]:
    X, y, _ = load_adult()
    X_train, X_test, y_train, _ = train_test_split(X, y, random_state=0)
    model = RandomForestClassifier(random_state=0, n_jobs=2)
    return FHEClassifier(model, quantizer=quantizer).fit(X_train, y_train), X_test[:1]


def _large_row(model: Any, quantizer: Any = "threshold") -> tuple[Any, np.ndarray]:
    """One row of what people try a library with."""
    X, y = make_classification(20_000, 20, n_informative=10, random_state=0)
    return FHEClassifier(model, quantizer=quantizer).fit(X, y), X[:1]


#: All rows, in the order of the table.
WORKLOADS = (
    _cancer_row(
        "xgb-breast",
        "XGBoost 50 x 3",
        xgboost_50x3(),
        evaluate_seconds=0.20,
        total_seconds=0.7,
        score_error=1e-4,
    ),
    _cancer_row(
        "xgb-breast-1",
        "XGBoost 50 x 3",
        xgboost_50x3(),
        n_rows=1,
        total_seconds=0.1,
        request_bytes=0.2e6,
        key_bytes=20e6,
        score_error=1e-4,
    ),
    _cancer_row(
        "xgb-breast-1-hidden",
        "XGBoost 50 x 3",
        xgboost_50x3(),
        n_rows=1,
        quantizer=UniformQuantizer(6),
        total_seconds=0.2,
        request_bytes=0.2e6,
    ),
    _cancer_row("forest-breast-1", "forest 50 x 4", forest_50x4(), n_rows=1, total_seconds=0.2),
    _cancer_row(
        "default-breast-1",
        "default forest",
        RandomForestClassifier(random_state=0),
        n_rows=1,
        total_seconds=1.5,
        peak_memory_bytes=0.8e9,
    ),
    _cancer_row("forest-breast", "forest 50 x 4", forest_50x4(), evaluate_seconds=2.0, relative_error=1e-4),
    _cancer_row(
        "tree-breast",
        "decision tree, depth 5",
        DecisionTreeClassifier(max_depth=5, random_state=0),
        evaluate_seconds=0.5,
        relative_error=1e-4,
    ),
    Workload("xgb-spam", "XGBoost 50 x 3", "spambase", lambda: _spambase(xgboost_50x3()), {"relative_error": 1e-4}),
    Workload("forest-spam", "forest 50 x 4", "spambase", lambda: _spambase(forest_50x4()), {"relative_error": 1e-4}),
    Workload(
        "xgb-wine",
        "XGBoost 50 x 3 x 3 classes",
        "wine",
        lambda: _every_row(FHEClassifier(xgboost_50x3()), *load_wine(return_X_y=True)),
        {"relative_error": 1e-4},
    ),
    Workload(
        "xgb-digits",
        "XGBoost 50 x 3 x 10 classes",
        "digits",
        lambda: _every_row(FHEClassifier(xgboost_50x3()), *load_digits(return_X_y=True)),
        {"relative_error": 1e-4},
    ),
    Workload(
        "xgb-diabetes",
        "XGBoost regression 50 x 3",
        "diabetes",
        lambda: _every_row(
            FHERegressor(XGBRegressor(n_estimators=50, max_depth=3, random_state=0)),
            *load_diabetes(return_X_y=True),
        ),
        {"relative_error": 1e-4},
    ),
    Workload(
        "lgbm-census",
        "LightGBM 100 x 31 leaves",
        "census income",
        lambda: _census(lightgbm(100, 31, max_depth=6), 8192),
        {"total_seconds": 90.0, "peak_memory_bytes": 4e9, "relative_error": 1e-4},
    ),
    Workload(
        "lgbm-census-1",
        "LightGBM 500 x 31 leaves",
        "census income",
        lambda: _census(lightgbm(500, 31), 1),
        {"total_seconds": 15.0},
    ),
    Workload(
        "xgb-digits-1",
        "XGBoost 50 x 3 x 10 classes",
        "digits",
        lambda: _first_row(_every_row(FHEClassifier(xgboost_50x3()), *load_digits(return_X_y=True))),
        {"total_seconds": 1.0},
    ),
    Workload(
        "default-adult-1-hidden",
        "default forest",
        "adult",
        lambda: _adult_row(UniformQuantizer(6)),
        {"total_seconds": 120.0},
    ),
    Workload(
        "xgb-large-1",
        "XGBoost 300 x 8",
        "20,000 x 20",
        lambda: _large_row(xgboost_50x3(n_estimators=300, max_depth=8)),
        {"total_seconds": 8.0, "peak_memory_bytes": 2e9},
    ),
    Workload(
        "lgbm-large-1",
        "LightGBM 500 x 63 leaves",
        "20,000 x 20",
        lambda: _large_row(lightgbm(500, 63)),
        {"total_seconds": 15.0, "peak_memory_bytes": 2e9},
    ),
    Workload(
        "default-large-1-hidden",
        "default forest",
        "20,000 x 20",
        lambda: _large_row(RandomForestClassifier(random_state=0, n_jobs=2), UniformQuantizer(8)),
        {"total_seconds": 60.0, "peak_memory_bytes": 3e9},
    ),
    Workload(
        "default-large-1",
        "default forest",
        "20,000 x 20",
        lambda: _large_row(RandomForestClassifier(random_state=0, n_jobs=2)),
        {"total_seconds": 120.0, "peak_memory_bytes": 3e9},
    ),
    Workload(
        "xgb-breast-tfhe",
        "XGBoost 50 x 3, tfhe",
        "breast cancer",
        lambda: _breast_cancer(xgboost_50x3(), 10, "tfhe"),
        {"total_seconds": 13.0},
    ),
)
