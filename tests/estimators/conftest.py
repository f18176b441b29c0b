"""Small data sets for the estimators under test."""

import numpy as np
import pytest
from sklearn.datasets import make_classification, make_regression

from tests.estimators.models import REGRESSORS


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
