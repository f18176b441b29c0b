"""Models of CatBoost, which compares float32 with ``>`` and grows trees of three shapes."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_linnerud, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from fhe_estimators import (
    FHEClassifier,
    FHEGradientBoostingClassifier,
    FHEGradientBoostingRegressor,
    FHERegressor,
)
from fhe_estimators.ensembles import ensemble_from_model, evaluate
from fhe_estimators.exceptions import UnsupportedModelError
from fhe_estimators.inspection import compare_with_cleartext
from tests.ensembles.edge_rows import edge_rows

catboost = pytest.importorskip("catboost")
CANCER, WINE, DIABETES, LINNERUD = (
    load(return_X_y=True) for load in (load_breast_cancer, load_wine, load_diabetes, load_linnerud)
)
#: Loss functions with a logarithmic link need positive targets.
POISSON = (DIABETES[0], DIABETES[1] / 100)
SMALL = {"iterations": 8, "depth": 4, "random_seed": 0, "logging_level": "Silent", "allow_writing_files": False}


def classifier(**parameters):
    return catboost.CatBoostClassifier(**{**SMALL, **parameters})


def regressor(**parameters):
    return catboost.CatBoostRegressor(**{**SMALL, **parameters})


MODELS = {
    "binary": (classifier(), CANCER),
    "cross entropy": (classifier(loss_function="CrossEntropy"), CANCER),
    "focal": (classifier(loss_function="Focal:focal_alpha=0.3;focal_gamma=2"), CANCER),
    "classes": (classifier(), WINE),
    "one against all": (classifier(loss_function="MultiClassOneVsAll"), WINE),
    "level by level": (classifier(grow_policy="Depthwise"), WINE),
    "leaf by leaf": (classifier(grow_policy="Lossguide", max_leaves=9), CANCER),
    "few borders": (classifier(border_count=3), CANCER),
    "values": (regressor(), DIABETES),
    "stumps": (regressor(depth=1), DIABETES),
    "missing right": (regressor(nan_mode="Max"), DIABETES),
    "Poisson": (regressor(loss_function="Poisson"), POISSON),
    "Tweedie": (regressor(loss_function="Tweedie:variance_power=1.5"), POISSON),
    "quantile": (regressor(loss_function="Quantile:alpha=0.3"), DIABETES),
    "quantiles": (regressor(loss_function="MultiQuantile:alpha=0.2,0.8", grow_policy="Depthwise"), DIABETES),
    "outputs": (regressor(loss_function="MultiRMSE"), LINNERUD),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("missing", [False, True])
def test_scores_probabilities_and_labels(name, missing):
    model, (X, y) = MODELS[name]
    X = np.array(X, dtype=np.float64)
    if missing:
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    model.fit(X, y)
    ensemble = ensemble_from_model(model)
    assert ensemble.n_features == X.shape[1]
    for rows in (X, edge_rows(ensemble, X, nan=True, huge=True)):
        scores = evaluate(ensemble, rows)
        raw = model.predict(rows, prediction_type="RawFormulaVal").reshape(scores.shape)
        np.testing.assert_allclose(scores, raw, rtol=1e-13, atol=1e-13 * np.abs(raw).max())
        if ensemble.link.is_classifier:
            np.testing.assert_allclose(ensemble.link.apply(scores), model.predict_proba(rows), atol=1e-13)
            labels = ensemble.link.predict(scores, model.classes_)
            np.testing.assert_array_equal(labels, model.predict(rows).ravel())
        else:
            np.testing.assert_allclose(ensemble.link.predict(scores), model.predict(rows), rtol=1e-13)


@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise", "Lossguide"])
def test_covers_are_the_weights_of_samples(policy):
    X, y = DIABETES
    ensemble = ensemble_from_model(regressor(grow_policy=policy).fit(X, y))
    np.testing.assert_array_equal(ensemble.cover[ensemble.tree_offsets[:-1]], len(X))
    inner = np.flatnonzero(~ensemble.is_leaf)
    children = ensemble.cover[ensemble.left[inner]] + ensemble.cover[ensemble.right[inner]]
    np.testing.assert_array_equal(children, ensemble.cover[inner])


@pytest.mark.parametrize(("nan_mode", "goes_right"), [("Min", False), ("Max", True), ("Forbidden", False)])
def test_missing_values_go_where_training_says(nan_mode, goes_right):
    X = np.linspace(-1, 1, 40)[:, None]
    seen = X if nan_mode == "Forbidden" else np.r_[X, [[np.nan]] * 5]
    y = np.r_[X[:, 0] > 0, np.zeros(len(seen) - len(X))].astype(float)
    model = regressor(depth=1, iterations=1, nan_mode=nan_mode, boost_from_average=False).fit(seen, y)
    reg = FHERegressor.from_fitted(model, backend="clear").compile()
    rows = np.array([[np.nan], [np.inf], [-np.inf], [3e38], [-3.4028234663852886e38], [1e300]])
    predicted = reg.predict(rows, fhe="execute")
    np.testing.assert_allclose(predicted, model.predict(rows), atol=1e-4)
    assert predicted[0] == predicted[1 if goes_right else 2]


def test_labels_of_any_type_and_files(tmp_path):
    X, y = CANCER
    for classes in (np.array(["no", "yes"]), np.array([False, True]), np.array([7, -3]), np.array([0.5, 1.5])):
        model = classifier(iterations=3).fit(X, classes[y])
        model.save_model(str(tmp_path / "model.cbm"))
        loaded = catboost.CatBoostClassifier().load_model(str(tmp_path / "model.cbm"))
        for brought in (model, loaded):
            clf = FHEClassifier.from_fitted(brought, X, backend="clear").compile()
            np.testing.assert_array_equal(clf.predict(X, fhe="execute"), brought.predict(X))


def test_encrypted_rows_and_reports():
    model = classifier(iterations=5, depth=3).fit(*WINE)
    clf = FHEClassifier.from_fitted(model, WINE[0]).compile()
    np.testing.assert_array_equal(clf.predict(WINE[0][::9], fhe="execute"), model.predict(WINE[0][::9]).ravel())
    report = compare_with_cleartext(clf, *WINE, fhe="disable", n_bootstrap=2)
    assert report.equal_labels == report.n_rows == len(WINE[0])


def test_what_predicts_raw_scores(tmp_path):
    """The class CatBoost, whatever its loss function; rankers; sums of models."""
    X, y = CANCER
    model = classifier().fit(X, y)
    model.save_model(str(tmp_path / "model.cbm"))
    plain = catboost.CatBoost().load_model(str(tmp_path / "model.cbm"))
    ranker = catboost.CatBoostRanker(loss_function="YetiRank", **SMALL)
    ranker.fit(X, y, group_id=np.arange(len(y)) // 20)
    for brought in (plain, ranker, catboost.sum_models([model, model], weights=[0.5, 2.0])):
        theirs = brought.predict(X)
        np.testing.assert_allclose(FHERegressor.from_fitted(brought, X).predict(X), theirs, atol=1e-4 * np.ptp(theirs))
    with pytest.raises(ValueError, match=r"CatBoost, which predicts raw scores.*CatBoostClassifier\(\).load_model"):
        FHEClassifier.from_fitted(plain)
    with pytest.raises(NotFittedError):
        FHERegressor.from_fitted(catboost.CatBoost())


@pytest.mark.parametrize("policy", ["SymmetricTree", "Depthwise"])
def test_scale_and_bias(policy):
    X, y = DIABETES
    model = regressor(grow_policy=policy).fit(X, y)
    model.set_scale_and_bias(0.25, -3.0)
    np.testing.assert_allclose(evaluate(ensemble_from_model(model), X)[:, 0], model.predict(X), rtol=1e-13)


class Logistic:
    """A loss function of one's own."""

    def calc_ders_range(self, approxes, targets, weights):
        chances = [1 / (1 + np.exp(-score)) for score in approxes]
        return [(targets[i] - chance, -chance * (1 - chance)) for i, chance in enumerate(chances)]


@pytest.mark.filterwarnings("ignore:Failed to optimize method")
def test_a_loss_function_of_ones_own():
    X, y = CANCER
    model = classifier(loss_function=Logistic(), eval_metric="Logloss").fit(X, y)
    clf = FHEClassifier.from_fitted(model, X)
    np.testing.assert_allclose(clf.predict_proba(X), model.predict_proba(X), atol=1e-4)
    np.testing.assert_array_equal(clf.predict(X), model.predict(X))


def with_text():
    X, y = CANCER
    return pd.DataFrame({"size": X[:, 0], "place": np.where(X[:, 1] > 18, "Spain", "Peru")}), y


@pytest.mark.parametrize(
    ("model", "data", "message"),
    [
        (classifier(cat_features=["place"]), with_text(), r"categorical columns, \['place'\].*OneHotEncoder"),
        (classifier(loss_function="MultiLogloss"), (CANCER[0], np.c_[CANCER[1], 1 - CANCER[1]]), "one model a label"),
        (regressor(loss_function="RMSEWithUncertainty"), DIABETES, "MultiQuantile"),
    ],
    ids=["categories", "labels", "variance"],
)
def test_refused_with_a_way_out(model, data, message):
    with pytest.raises(UnsupportedModelError, match=message):
        ensemble_from_model(model.fit(*data))


def test_a_threshold_of_probability_is_refused():
    model = classifier(iterations=2).fit(*CANCER)
    model.set_probability_threshold(0.9)
    with pytest.raises(UnsupportedModelError, match=r"threshold of 0.9: discard it with set_probability_threshold"):
        FHEClassifier.from_fitted(model)
    model.set_probability_threshold(0.5)
    np.testing.assert_array_equal(FHEClassifier.from_fitted(model).predict(CANCER[0]), model.predict(CANCER[0]))


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array])
def test_sparse_rows(kind):
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 6)) * (random.random((200, 6)) < 0.3)
    y = X.sum(axis=1) > 0.2
    model = classifier().fit(sparse.csr_matrix(X), y)
    clf = FHEClassifier.from_fitted(model, kind(X), backend="clear")
    np.testing.assert_array_equal(clf.predict(kind(X)), model.predict(X))
    np.testing.assert_array_equal(clf.fit(kind(X), y).predict(X), clf.fit(X, y).predict(X))


class TestOurFit:
    def test_labels_and_seeds(self):
        X, y = CANCER
        labels = np.array(["no", "yes"], dtype=object)[y]
        clf = FHEGradientBoostingClassifier(
            library="catboost", n_estimators=6, backend="clear", random_state=np.random.RandomState(3), n_jobs=1
        )
        clf.fit(X, labels).compile()
        assert set(clf.predict(X, fhe="execute")) == {"no", "yes"}
        assert clf.score(X, labels) > 0.95
        assert clf.feature_importances_.shape == (30,) and clf.tree_count_ == 6
        with pytest.raises(ValueError, match="one class only"):
            clf.fit(X, np.ones(len(X)))

    def test_regressors_and_contributions(self):
        X, y = DIABETES
        reg = FHEGradientBoostingRegressor(library="catboost", n_estimators=6, max_depth=None, backend="clear")
        reg.fit(X, y)
        assert reg.estimator_.get_all_params()["depth"] == 6
        np.testing.assert_allclose(reg.predict(X), reg.estimator_.predict(X), atol=1e-4 * np.ptp(y))
        np.testing.assert_allclose(reg.predict_contributions(X).sum(axis=1), reg.predict(X), atol=1e-3 * np.ptp(y))

    @pytest.mark.parametrize("name", ["uniform", "quantile"])
    def test_training_on_bins(self, name):
        X, y = CANCER
        clf = FHEGradientBoostingClassifier(library="catboost", n_estimators=5, quantizer=name, backend="clear")
        clf.fit(X, y)
        np.testing.assert_array_equal(clf.predict(X), clf.estimator_.predict(clf.source_features(X)))

    def test_searches_and_clones(self):
        X, y = CANCER
        ours = FHEGradientBoostingClassifier(library="catboost", n_estimators=3, backend="clear")
        found = GridSearchCV(ours, {"max_depth": [1, 3], "library": ["catboost", "sklearn"]}, cv=2).fit(X, y)
        assert found.best_score_ > 0.9
        around = clone(FHEClassifier(classifier(), backend="clear")).set_params(estimator__depth=2).fit(X, y)
        assert around.ensemble_.depth == around.get_params()["estimator__depth"] == 2

    def test_categories_are_refused(self):
        X, y = with_text()
        ours = FHEGradientBoostingClassifier(library="catboost")
        for places in (X["place"], X["place"] == "Peru"):
            with pytest.raises(ValueError, match=r"\['place'\].*CatBoost.*library='lightgbm'"):
                ours.fit(X.assign(place=places.astype("category")), y)

    def test_parameters_that_catboost_copies(self):
        X, y = CANCER
        plain, weighted = (
            FHEClassifier(classifier(class_weights=weights), backend="clear").fit(X, y) for weights in (None, [1, 50])
        )
        assert weighted.predict(X).sum() > plain.predict(X).sum()

    def test_parameters_and_evaluation_sets(self):
        X, y = CANCER
        verbose = {"verbose": 0, "early_stopping_rounds": 2}
        clf = FHEGradientBoostingClassifier(library="catboost", n_estimators=60, estimator_params=verbose)
        clf.fit(X[:300], y[:300], eval_set=[(X[300:], y[300:])])
        assert clf.ensemble_.n_trees == clf.get_best_iteration() + 1 < 60
        with pytest.raises(ValueError, match=r"must not set \['depth'\]"):
            clf.set_params(estimator_params={"depth": 2}).fit(X, y)
