"""Bagged trees and AdaBoost's classifier are sums over trees, and imported as such."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, BaggingRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fhe_estimators.estimators import FHEClassifier, FHERegressor

SUBSETS = {"max_features": 0.5, "bootstrap_features": True, "n_estimators": 6, "random_state": 0}
CLASSIFIERS = {
    "bagging": BaggingClassifier(DecisionTreeClassifier(max_depth=3), **SUBSETS),
    "few samples": BaggingClassifier(
        DecisionTreeClassifier(max_depth=2), max_samples=4, n_estimators=9, random_state=0
    ),
    "adaboost": AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=6, random_state=0),
}


@pytest.mark.filterwarnings("ignore:The parameter 'algorithm'")
@pytest.mark.parametrize("load", [load_breast_cancer, load_wine])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers(name, load):
    X, y = load(return_X_y=True)
    labels = np.array(["a", "b", "c"])[y]
    model = CLASSIFIERS[name].fit(X, labels)
    clf = FHEClassifier.from_fitted(model, X, backend="clear").compile()
    np.testing.assert_allclose(clf.predict_proba(X, fhe="execute"), model.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(clf.predict(X, fhe="execute"), model.predict(X))
    if name == "adaboost":
        np.testing.assert_allclose(clf.decision_function(X), model.decision_function(X), atol=1e-4)


def test_regressors():
    X, y = load_diabetes(return_X_y=True)
    model = BaggingRegressor(DecisionTreeRegressor(max_depth=3), **SUBSETS).fit(X, y)
    reg = FHERegressor.from_fitted(model, X, backend="clear").compile()
    np.testing.assert_allclose(reg.predict(X, fhe="execute"), model.predict(X), atol=1e-2)
