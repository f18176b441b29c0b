"""Small data sets and the estimators under test."""

import importlib.util

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression

from fhe_estimators import estimators as module

#: Backends whose libraries are installed; every mode test runs over them.
BACKENDS = ["clear"] + (["ckks"] if importlib.util.find_spec("tenseal") else [])
CLASSIFIERS = [getattr(module, name) for name in module.__all__ if name.endswith("Classifier")]
REGRESSORS = [getattr(module, name) for name in module.__all__ if name.endswith("Regressor")]
ESTIMATORS = [*CLASSIFIERS, *REGRESSORS, module.FHEIsolationForest]


def small(estimator_class, **params):
    """An estimator that trains and compiles fast: at most 4 trees of depth 2."""
    known = estimator_class().get_params()
    wanted = {"n_estimators": 4, "max_depth": 2, "max_samples": 8, "random_state": 0, "backend": "clear"}
    if estimator_class is not module.FHEIsolationForest:
        wanted.pop("max_samples")
    return estimator_class(**{**{k: v for k, v in wanted.items() if k in known}, **params})


@pytest.fixture(scope="session")
def classification():
    return make_classification(n_samples=120, n_features=6, n_informative=4, n_classes=3, random_state=0)


@pytest.fixture(scope="session")
def regression():
    X, y = make_regression(n_samples=120, n_features=6, noise=5.0, random_state=0)
    return X, y / 10


@pytest.fixture
def training_set(request, classification, regression):
    """Data for ``estimator_class``, which the test is parametrized over."""
    estimator_class = request.getfixturevalue("estimator_class")
    return regression if estimator_class in REGRESSORS else classification


@pytest.fixture
def rows(training_set):
    """Rows to predict: some of the training set, some on the edge of float32."""
    X = training_set[0]
    return np.concatenate([X[:20], np.round(X[:5]), X[:5].astype(np.float32)])
