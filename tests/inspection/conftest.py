import matplotlib
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import train_test_split

from fhe_estimators import FHERandomForestClassifier

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def close_figures():
    from matplotlib import pyplot

    yield
    pyplot.close("all")


@pytest.fixture(scope="session")
def cancer():
    """X_train, X_test, y_train, y_test."""
    return train_test_split(*load_breast_cancer(return_X_y=True), random_state=0)


@pytest.fixture(scope="session")
def iris():
    return train_test_split(*load_iris(return_X_y=True, as_frame=True), random_state=0)


@pytest.fixture(scope="session")
def diabetes():
    return train_test_split(*load_diabetes(return_X_y=True), random_state=0)


@pytest.fixture(scope="session")
def forest(cancer):
    X, _, y, _ = cancer
    return FHERandomForestClassifier(n_estimators=8, max_depth=3, backend="ckks", random_state=0).fit(X, y).compile()
