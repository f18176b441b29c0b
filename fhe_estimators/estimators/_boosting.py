"""Encrypted gradient-boosted trees, trained by any of four libraries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..backends import Backend
from ..quantizers import FeatureQuantizer
from ..utils import import_optional
from ._base import BaseFHEEstimator
from ._mixins import FHEClassifierMixin, FHERegressorMixin


@dataclass(frozen=True)
class _Library:
    """How to get boosted trees from one library: the same algorithm under the same parameters."""

    module: str
    #: Beginning of its estimators' names.
    stem: str
    #: What it calls our parameters; None where it has no such parameter.
    renamed: dict[str, str | None] = field(default_factory=dict)
    #: What makes it behave like the others.
    settings: dict[str, Any] = field(default_factory=dict)
    unlimited_depth: int | None = None
    #: Other names of the keys of `settings`; a model may be given one of them only.
    synonyms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Whether seeds must be integers.
    integer_seeds: bool = False


_LIBRARIES = {
    "xgboost": _Library("xgboost", "XGB", settings={"enable_categorical": True}),
    "lightgbm": _Library("lightgbm", "LGBM", settings={"verbosity": -1}, unlimited_depth=-1),
    "sklearn": _Library(
        "sklearn.ensemble",
        "HistGradientBoosting",
        renamed={"n_estimators": "max_iter", "n_jobs": None},
        settings={"early_stopping": False},
    ),
}
_LIBRARIES["catboost"] = _Library(
    "catboost",
    "CatBoost",
    renamed={
        "n_estimators": "iterations",
        "max_depth": "depth",
        "random_state": "random_seed",
        "n_jobs": "thread_count",
    },
    settings={"logging_level": "Silent", "allow_writing_files": False},
    synonyms={"logging_level": ("silent", "verbose", "verbose_eval")},
    integer_seeds=True,
)
_LIBRARIES["scikit-learn"] = _LIBRARIES["sklearn"]

_TRAINING_PARAMETERS = ("n_estimators", "max_depth", "learning_rate", "random_state", "n_jobs")


class _GradientBoosting(BaseFHEEstimator):
    """Parameters and training of both boosting estimators."""

    #: "Classifier" or "Regressor".
    _suffix: ClassVar[str]

    def __init__(
        self,
        n_estimators: int = 50,
        *,
        library: str = "xgboost",
        max_depth: int | None = 3,
        learning_rate: float = 0.3,
        estimator_params: dict[str, Any] | None = None,
        quantizer: str | FeatureQuantizer = "threshold",
        backend: str | Backend = "auto",
        device: str = "cpu",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        self.n_estimators = n_estimators
        self.library = library
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.estimator_params = estimator_params
        self.quantizer = quantizer
        self.backend = backend
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _make_estimator(self) -> Any:
        if self.library not in _LIBRARIES:
            raise ValueError(f"library={self.library!r} is unknown: use one of {list(_LIBRARIES)}.")
        library = _LIBRARIES[self.library]
        purpose = f"{type(self).__name__} with library={self.library!r}"
        source = getattr(
            import_optional(library.module, extra=self.library, purpose=purpose), library.stem + self._suffix
        )
        parameters = self._training_parameters(library)
        settings = {
            name: value
            for name, value in library.settings.items()
            if not any(synonym in parameters for synonym in library.synonyms.get(name, ()))
        }
        return source(**{**settings, **parameters})

    def _training_parameters(self, library: _Library) -> dict[str, Any]:
        """Our parameters and `estimator_params` as the library names them."""
        parameters = {}
        for name in _TRAINING_PARAMETERS:
            theirs = library.renamed.get(name, name)
            if theirs is not None:
                parameters[theirs] = getattr(self, name)
        if self.max_depth is None:
            parameters[library.renamed.get("max_depth") or "max_depth"] = library.unlimited_depth
        if library.integer_seeds and isinstance(self.random_state, np.random.RandomState):
            parameters["random_seed"] = int(self.random_state.randint(np.iinfo(np.int32).max))
        extra = self.estimator_params or {}
        conflicts = sorted(set(extra) & {*parameters, *_TRAINING_PARAMETERS})
        if conflicts:
            raise ValueError(
                f"estimator_params must not set {conflicts}: use the parameters of {type(self).__name__} instead."
            )
        return {**parameters, **extra}


class FHEGradientBoostingClassifier(FHEClassifierMixin, _GradientBoosting):
    """Gradient-boosted trees classifier that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Boosting rounds; with more than two classes each round trains a tree a class.
    library : {"xgboost", "lightgbm", "catboost", "sklearn", "scikit-learn"}, default="xgboost"
        What trains the trees: ``XGBClassifier``, ``LGBMClassifier``, ``CatBoostClassifier`` or
        ``HistGradientBoostingClassifier`` (without early stopping). All of them accept NaN.
    max_depth : int or None, default=3
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption. None stands for the library's own way of limiting trees.
    learning_rate : float, default=0.3
        Factor of what each round adds.
    estimator_params : dict, default=None
        Any other parameter of the library's estimator.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Seed of the training. Never reaches keys or noise.
    n_jobs : int, default=None
        Threads of the training and processes of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from fhe_estimators.estimators import FHEGradientBoostingClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> clf = FHEGradientBoostingClassifier(library="sklearn", n_estimators=5, backend="clear")
    >>> clf = clf.fit(X, y).compile()
    >>> bool((clf.predict(X, fhe="execute") == clf.predict(X)).all())
    True
    """

    _suffix = "Classifier"


class FHEGradientBoostingRegressor(FHERegressorMixin, _GradientBoosting):
    """Gradient-boosted trees regressor that predicts on encrypted rows.

    Parameters
    ----------
    n_estimators : int, default=50
        Boosting rounds.
    library : {"xgboost", "lightgbm", "catboost", "sklearn", "scikit-learn"}, default="xgboost"
        What trains the trees: ``XGBRegressor``, ``LGBMRegressor``, ``CatBoostRegressor`` or
        ``HistGradientBoostingRegressor`` (without early stopping). All of them accept NaN.
    max_depth : int or None, default=3
        Largest number of comparisons on a path. Every level costs multiplicative depth under
        encryption. None stands for the library's own way of limiting trees.
    learning_rate : float, default=0.3
        Factor of what each round adds.
    estimator_params : dict, default=None
        Any other parameter of the library's estimator.
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer, default="threshold"
        The quantizer decides how features become integers. "threshold" loses nothing; the others train on bins.
    backend : {"auto", "bfv", "ckks", "tfhe", "clear"} or Backend, default="auto"
        The encryption engine.
    device : str, default="cpu"
        The device on which the server computes.
    random_state : int, RandomState or None, default=None
        Seed of the training. Never reaches keys or noise.
    n_jobs : int, default=None
        Threads of the training and processes of the encrypted evaluation.
    verbose : int, default=0
        Progress bars if positive.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fhe_estimators.estimators import FHEGradientBoostingRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> reg = FHEGradientBoostingRegressor(library="sklearn", n_estimators=5, backend="clear")
    >>> reg = reg.fit(X, y).compile()
    >>> bool((reg.predict(X, fhe="execute") == reg.predict(X)).all())
    True
    """

    _suffix = "Regressor"
