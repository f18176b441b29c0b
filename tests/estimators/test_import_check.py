"""The comparison of an imported model with its own predictions notices what an import could get wrong."""

from dataclasses import replace

import numpy as np
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from scipy import sparse
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from xgboost import XGBClassifier

from fhe_estimators import FHEClassifier, FHERegressor
from fhe_estimators.ensembles import ensemble_from_model
from fhe_estimators.ensembles._categories import CategoryColumn
from fhe_estimators.estimators import _import_check
from fhe_estimators.estimators._import_check import check_import
from fhe_estimators.exceptions import UnsupportedModelError
from tests.ensembles.test_categories import CLASSIFIERS, table

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(300, 4))
X[RANDOM.random(X.shape) < 0.2] = np.nan
Y = (np.nan_to_num(X[:, 0], nan=1.0) - np.nan_to_num(X[:, 1], nan=-1.0) > 0).astype(int)
MISSING = {
    "xgboost": XGBClassifier(n_estimators=4, max_depth=3),
    "lightgbm": LGBMClassifier(n_estimators=4, max_depth=3, verbosity=-1),
    "hist": HistGradientBoostingClassifier(max_iter=4, max_depth=3),
    "forest": RandomForestClassifier(4, max_depth=3, random_state=0),
}
WRONG = "do not predict what it predicts itself"


def with_sets(ensemble, change):
    """The ensemble with every set of categories changed."""
    sets = tuple(change(one) for one in ensemble.encoding.sets)
    return replace(ensemble, encoding=replace(ensemble.encoding, sets=sets))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_categories(name):
    frame, y = table()
    model = CLASSIFIERS[name]().fit(frame, y > 0)
    ensemble = ensemble_from_model(model, frame)
    check_import(model, ensemble, frame)
    for change in (
        lambda one: replace(one, codes=one.codes[1:]),
        lambda one: replace(one, codes=(*one.codes, max(one.codes) + 1)),
        lambda one: replace(one, with_missing=not one.with_missing),
    ):
        with pytest.raises(UnsupportedModelError, match=WRONG):
            check_import(model, with_sets(ensemble, change))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_order_of_categories(name):
    frame, y = table()
    model = CLASSIFIERS[name]().fit(frame, y > 0)
    ensemble = ensemble_from_model(model, frame)
    turned = tuple(CategoryColumn(one.column, one.values[::-1], one.in_arrays) for one in ensemble.encoding.categories)
    with pytest.raises(UnsupportedModelError, match=WRONG):
        check_import(model, replace(ensemble, encoding=replace(ensemble.encoding, categories=turned)), frame)


@pytest.mark.parametrize("name", MISSING)
def test_missing_values(name):
    model = MISSING[name].fit(X, Y)
    ensemble = ensemble_from_model(model)
    check_import(model, ensemble)
    with pytest.raises(UnsupportedModelError, match=WRONG):
        check_import(model, replace(ensemble, missing_right=~ensemble.missing_right & ~ensemble.is_leaf))


@pytest.mark.parametrize("name", ["xgboost", "forest"])
def test_absent_entries(name, monkeypatch):
    rows = sparse.random(300, 4, density=0.5, random_state=0, format="csr")
    model = MISSING[name].fit(rows, Y)
    ensemble = ensemble_from_model(model)
    check_import(model, ensemble, rows)
    true = _import_check.absent_value(model)
    monkeypatch.setattr(_import_check, "absent_value", lambda model: 0.0 if np.isnan(true) else 9.0)
    with pytest.raises(UnsupportedModelError, match=rf"{WRONG}.*row \d+ of X:"):
        check_import(model, ensemble, rows)


def test_margins():
    """Probabilities may agree where margins do not."""
    for model in (GradientBoostingClassifier(n_estimators=4), HistGradientBoostingClassifier(max_iter=4)):
        model.fit(np.nan_to_num(X), Y)
        ensemble = ensemble_from_model(model)
        check_import(model, ensemble)
        scaled = replace(ensemble, value=ensemble.value / 2, base_score=ensemble.base_score / 2)
        with pytest.raises(UnsupportedModelError, match=WRONG):
            check_import(model, replace(scaled, link=replace(ensemble.link, divisor=0.5)))


@pytest.mark.parametrize("n_classes", [2, 3])
def test_margins_of_forests_of_lightgbm(n_classes):
    """They are sums, of which probabilities take the mean."""
    settings = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.7, "n_estimators": 5, "verbosity": -1}
    y = Y + (X[:, 2] > 1) if n_classes == 3 else Y
    model = LGBMClassifier(**settings).fit(X, y)
    clf = FHEClassifier.from_fitted(model, backend="clear")
    margins = model.predict(X, raw_score=True)
    np.testing.assert_allclose(clf.decision_function(X), margins, atol=1e-4 * np.ptp(margins))
    np.testing.assert_allclose(clf.predict_proba(X), model.predict_proba(X), atol=1e-4)
    reg = LGBMRegressor(**settings).fit(X, y)
    np.testing.assert_allclose(FHERegressor.from_fitted(reg, backend="clear").predict(X), reg.predict(X), atol=1e-3)
