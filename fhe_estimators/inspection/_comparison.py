"""`compare_with_cleartext`: one report on what encryption did to a model."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.stats import kendalltau
from sklearn.base import is_classifier, is_outlier_detector
from sklearn.metrics import check_scoring, get_scorer
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _num_samples

from ..ensembles import sum_leaves
from ..utils import check_fhe_mode, import_optional
from ._estimators import (
    Predictions,
    predictions_from_sums,
    predictions_of_float_model,
    require_compiled,
    unwrap,
)
from ._phases import ONLINE_PHASES, measure_phases, repeated


@dataclass(frozen=True)
class ComparisonReport:
    """What `compare_with_cleartext` found.

    Parameters
    ----------
    fhe : {"disable", "simulate", "execute"}
        The mode in which the rows were scored.
    n_rows : int
        The number of rows.
    exact_rows : int
        Rows whose sums of leaves equal those of the quantized model in the clear: all of them, or something is wrong.
    equal_labels : int or None
        Rows with the float model's labels; None for regression.
    max_score_error : float
        Largest difference to the float model's probabilities, values or decision function.
    kendall_tau : float
        Agreement of the order of the rows by score: 1 if it is the float model's.
    metrics : list of dict
        ``metric``, ``model`` (float, quantized or encrypted), ``value``, ``low`` and ``high``: percentile bootstrap.
    seconds : dict of str to float
        Of the float model, of the quantized model in the clear, and of the phases of encrypted prediction.
    sizes : dict of str to int
        Bytes of evaluation keys, request and response.
    facts : dict
        ``program_.describe()``: scheme, security bits, what each side learns.
    """

    fhe: str
    n_rows: int
    exact_rows: int
    equal_labels: int | None
    max_score_error: float
    kendall_tau: float
    metrics: list[dict[str, Any]]
    seconds: dict[str, float]
    sizes: dict[str, int]
    facts: dict[str, Any]

    def to_frame(self) -> Any:
        """A tidy pandas frame with columns ``group``, ``name``, ``model``, ``value``, ``low`` and ``high``.

        Returns
        -------
        frame : pandas.DataFrame
            A metric has a row for every model; other figures have one row and no ``model``.
        """
        pandas = import_optional("pandas", extra="plots", purpose="to_frame()")
        rows = [
            {"group": "metric", "name": row["metric"], **{k: row[k] for k in ("model", "value", "low", "high")}}
            for row in self.metrics
        ]
        single = {
            "exact_rows": self.exact_rows,
            "equal_labels": self.equal_labels,
            "max_score_error": self.max_score_error,
            "kendall_tau": self.kendall_tau,
        }
        for group, values in (("agreement", single), ("seconds", self.seconds), ("bytes", self.sizes)):
            rows += [{"group": group, "name": name, "value": value} for name, value in values.items()]
        return pandas.DataFrame(rows, columns=["group", "name", "model", "value", "low", "high"])

    def __str__(self) -> str:
        lines = [f"{self.n_rows:,} rows, fhe={self.fhe!r}", "", *self._agreement_lines(), ""]
        for row in self.metrics:
            interval = f"[{row['low']:.4f}, {row['high']:.4f}]"
            lines.append(f"{row['metric']:>28}  {row['model']:<10} {row['value']:.4f}  {interval}")
        lines.append("")
        for name, value in self.seconds.items():
            throughput = "" if name == "keygen" else f"  ({self.n_rows / max(value, 1e-9):,.0f} rows/s)"
            lines.append(f"{name:>28}  {value:.4f} s{throughput}")
        lines += [f"{name:>28}  {value:,} bytes" for name, value in self.sizes.items()]
        for name in ("scheme", "security_bits", "server_sees", "client_learns"):
            if name in self.facts:
                label = f"{name.replace('_', ' '):>28}  "
                lines += textwrap.wrap(f"{label}{self.facts[name]}", 79, subsequent_indent=" " * len(label))
        return "\n".join(lines)

    def _agreement_lines(self) -> list[str]:
        figures = {"rows equal to the clear": f"{self.exact_rows:,} of {self.n_rows:,}"}
        if self.equal_labels is not None:
            figures["labels of the float model"] = f"{self.equal_labels:,} of {self.n_rows:,}"
        figures["largest error of a score"] = f"{self.max_score_error:.2e}"
        figures["Kendall's tau of the order"] = f"{self.kendall_tau:.6f}"
        return [f"{name:>28}  {value}" for name, value in figures.items()]


def compare_with_cleartext(
    estimator: Any,
    X: Any,
    y: Any = None,
    fhe: str = "execute",
    scoring: str | Callable | Sequence[str] | dict[str, str | Callable] | None = None,
    n_rows: int | None = None,
    *,
    n_bootstrap: int = 500,
    confidence: float = 0.95,
    random_state: Any = 0,
) -> ComparisonReport:
    """Compare encrypted predictions with those of the float model and of the quantized model in the clear.

    Parameters
    ----------
    estimator : estimator
        A compiled estimator of this library, or a pipeline or search that ends in one. With quantizers that train on
        bins, the float model is the one that was trained on these bins.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to predict, as the estimator's ``predict`` takes them.
    y : array-like of shape (n_samples,), default=None
        Targets; without them there are no metrics.
    fhe : {"disable", "simulate", "execute"}, default="execute"
        ``"execute"`` really encrypts, with new keys, and times every phase.
    scoring : str, callable, list or dict of them, default=None
        Metrics, as in scikit-learn. None: accuracy, balanced accuracy and area under the ROC curve,
        or R2 and root mean squared error.
    n_rows : int, default=None
        Rows to draw at random from `X`, without replacement. None: all.
    n_bootstrap : int, default=500
        Samples of the bootstrap.
    confidence : float, default=0.95
        The confidence of the bootstrap's intervals.
    random_state : int, RandomState or None, default=0
        The seed of the drawing of rows and of the bootstrap; it never reaches keys.

    Returns
    -------
    report : ComparisonReport
        Prints as a table; ``to_frame()`` gives a pandas frame.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fhe_estimators import FHEDecisionTreeClassifier
    >>> from fhe_estimators.inspection import compare_with_cleartext
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FHEDecisionTreeClassifier(max_depth=3, random_state=0).fit(X[:400], y[:400]).compile()
    >>> report = compare_with_cleartext(clf, X[400:], y[400:], n_bootstrap=50)
    >>> report.exact_rows, report.equal_labels
    (169, 169)
    """
    check_fhe_mode(fhe)
    estimator, X = unwrap(estimator, X)
    if fhe != "disable":
        require_compiled(estimator, f"compare_with_cleartext with fhe={fhe!r}")
    random = check_random_state(random_state)
    X, y = _drawn(X, y, n_rows, random)
    seconds: dict[str, float] = {}
    runs, floats = repeated(lambda: predictions_of_float_model(estimator, X), 3)
    seconds["float model"] = float(np.median(runs))
    codes = estimator.quantize(X)
    runs, clear = repeated(lambda: sum_leaves(estimator.quantized_ensemble_, codes), 3)
    seconds["quantized model in the clear"] = float(np.median(runs))
    sums, sizes = _encrypted_sums(estimator, X, codes, fhe, seconds)
    predictions = {
        "float": floats,
        "quantized": predictions_from_sums(estimator, clear),
        "encrypted": predictions_from_sums(estimator, sums),
    }
    encrypted = predictions["encrypted"]
    labelled = is_classifier(estimator) or is_outlier_detector(estimator)
    return ComparisonReport(
        fhe=fhe,
        n_rows=len(sums),
        exact_rows=int((sums == clear).all(axis=1).sum()),
        equal_labels=_n_equal(encrypted.labels, floats.labels) if labelled else None,
        max_score_error=float(np.abs(encrypted.scores - floats.scores).max()),
        kendall_tau=_kendall_tau(encrypted.scores, floats.scores),
        metrics=[]
        if y is None
        else _metrics(predictions, np.asarray(y), _scorers(floats, scoring), n_bootstrap, confidence, random),
        seconds=seconds,
        sizes=sizes,
        facts=estimator.program_.describe() if hasattr(estimator, "program_") else {},
    )


def _drawn(X: Any, y: Any, n_rows: int | None, random: np.random.RandomState) -> tuple[Any, Any]:
    available = _num_samples(X)
    if y is not None and len(y) != available:
        raise ValueError(f"X has {available} rows and y {len(y)}.")
    if n_rows is None or n_rows >= available:
        return X, y
    if n_rows < 1:
        raise ValueError(f"n_rows={n_rows!r} must be at least 1.")
    chosen = np.sort(random.choice(available, n_rows, replace=False))
    rows = X.tocsr() if sparse.issparse(X) else X
    return _safe_indexing(rows, chosen), None if y is None else _safe_indexing(y, chosen)


def _encrypted_sums(
    estimator: Any, X: Any, codes: np.ndarray, fhe: str, seconds: dict[str, float]
) -> tuple[np.ndarray, dict[str, int]]:
    """Sums of leaves as ``fhe`` says; adds to ``seconds``."""
    if fhe != "execute":
        runs, sums = repeated(lambda: estimator.sum_leaves(codes, fhe), 1)
        seconds[fhe] = runs[0]
        return sums, {}
    phases = measure_phases(estimator, X, n_jobs=estimator.n_jobs)
    assert phases.sums is not None
    seconds |= {phase: phases.median(phase) for phase in ("keygen", *ONLINE_PHASES)}
    sizes = {"evaluation keys": phases.key_bytes, "request": phases.request_bytes, "response": phases.response_bytes}
    return phases.sums, sizes


def _n_equal(labels: np.ndarray, others: np.ndarray) -> int:
    equal = labels == others
    return int((equal if equal.ndim == 1 else equal.all(axis=1)).sum())


def _kendall_tau(scores: np.ndarray, others: np.ndarray) -> float:
    """Mean over columns; 1 where a column is constant in both."""
    taus = [
        1.0 if np.ptp(a) == 0 == np.ptp(b) else float(kendalltau(a, b).statistic)
        for a, b in zip(scores.T, others.T, strict=True)
    ]
    return float(np.mean(taus))


def _scorers(predictions: Predictions, scoring: Any) -> dict[str, Callable]:
    if scoring is None:
        if is_classifier(predictions):
            ranking = "roc_auc" if predictions.scores.shape[1] == 2 else "roc_auc_ovr"
            scoring = ["accuracy"] if predictions.labels.ndim == 2 else ["accuracy", "balanced_accuracy", ranking]
        elif hasattr(predictions, "decision_function"):
            scoring = ["roc_auc"]
        else:
            scoring = ["r2", "neg_root_mean_squared_error"]
    if isinstance(scoring, str):
        scoring = [scoring]
    if callable(scoring):
        return {getattr(scoring, "__name__", "score"): scoring}
    if isinstance(scoring, dict):
        return {name: check_scoring(predictions, scoring=value) for name, value in scoring.items()}
    return {name: get_scorer(name) for name in scoring}


def _metrics(
    predictions: dict[str, Predictions],
    y: np.ndarray,
    scorers: dict[str, Callable],
    n_bootstrap: int,
    confidence: float,
    random: np.random.RandomState,
) -> list[dict[str, Any]]:
    """Every metric of every model, with intervals from the same samples."""
    samples = _samples_with_all_classes(y, n_bootstrap, random)
    everything = np.arange(len(y))
    rows = []
    for name, scorer in scorers.items():
        for model, given in predictions.items():
            values = [scorer(given, sample, y[sample]) for sample in samples]
            low, high = (
                np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]) if values else (np.nan, np.nan)
            )
            value = float(scorer(given, everything, y))
            rows.append({"metric": name, "model": model, "value": value, "low": float(low), "high": float(high)})
    return rows


def _samples_with_all_classes(y: np.ndarray, n_samples: int, random: np.random.RandomState) -> list[np.ndarray]:
    """Bootstrap samples; where targets are classes, those that lack one are left out: metrics are not defined there."""
    samples = [random.randint(len(y), size=len(y)) for _ in range(n_samples)]
    if y.ndim > 1 or y.dtype.kind == "f":
        return samples
    n_classes = len(np.unique(y))
    return [sample for sample in samples if len(np.unique(y[sample])) == n_classes]
