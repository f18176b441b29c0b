import numpy as np
import pytest
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from fhe_estimators import (
    FHEClassifier,
    FHEDecisionTreeClassifier,
    FHEGradientBoostingClassifier,
    FHEIsolationForest,
    FHERandomForestRegressor,
)
from fhe_estimators.backends.ckks.evaluator.requests import CKKSEvaluator
from fhe_estimators.exceptions import NotCompiledError
from fhe_estimators.inspection import compare_with_cleartext


def values(report, metric):
    return {row["model"]: row["value"] for row in report.metrics if row["metric"] == metric}


def test_an_encrypted_classifier(forest, cancer):
    _, X, _, y = cancer
    report = compare_with_cleartext(forest, X, y)
    assert report.n_rows == report.exact_rows == report.equal_labels == len(X)
    assert 0 < report.max_score_error < 1e-4
    assert report.kendall_tau > 0.99
    accuracy = values(report, "accuracy")
    assert accuracy == {model: forest.score(X, y) for model in ("float", "quantized", "encrypted")}
    area = values(report, "roc_auc")
    assert area["float"] == pytest.approx(roc_auc_score(y, forest.estimator_.predict_proba(X)[:, 1]))
    assert all(row["low"] <= row["value"] <= row["high"] for row in report.metrics if row["metric"] == "accuracy")
    assert set(report.seconds) > {"keygen", "encrypt", "evaluate", "decrypt"}
    assert min(report.sizes.values()) > 1000
    assert report.facts["security_bits"] >= 128


def test_rows_really_are_encrypted(forest, cancer, monkeypatch):
    requests = []
    run = CKKSEvaluator.run
    monkeypatch.setattr(CKKSEvaluator, "run", lambda self, *messages: requests.append(messages) or run(self, *messages))
    compare_with_cleartext(forest, cancer[1][:5], fhe="simulate")
    assert not requests
    compare_with_cleartext(forest, cancer[1][:5], fhe="execute")
    assert requests


def test_a_wrong_answer_is_reported(forest, cancer, monkeypatch):
    """Not hidden: the report is there to find it."""
    _, X, _, y = cancer
    from fhe_estimators.backends.ckks.client import CKKSClient

    decrypt = CKKSClient.decrypt

    def off_by_one(self, response):
        sums = decrypt(self, response)
        sums[3] += 1
        return sums

    monkeypatch.setattr(CKKSClient, "decrypt", off_by_one)
    assert compare_with_cleartext(forest, X[:20], y[:20]).exact_rows == 19


@pytest.mark.parametrize("fhe", ["disable", "simulate", "execute"])
def test_drawn_rows_and_tidy_frame(fhe, forest, cancer):
    _, X, _, y = cancer
    report = compare_with_cleartext(forest, X, y, fhe=fhe, scoring=["roc_auc"], n_rows=30, n_bootstrap=20)
    assert report.n_rows == report.exact_rows == 30
    frame = report.to_frame()
    assert list(frame.columns) == ["group", "name", "model", "value", "low", "high"]
    assert set(frame.loc[frame.group == "metric", "model"]) == {"float", "quantized", "encrypted"}
    assert ("bytes" in set(frame.group)) == (fhe == "execute")
    again = compare_with_cleartext(forest, X, y, fhe=fhe, scoring=["roc_auc"], n_rows=30, n_bootstrap=20)
    assert report.metrics == again.metrics


def test_multi_class_with_names_and_text_labels(iris):
    X, X_test, y, y_test = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    model = FHEGradientBoostingClassifier(library="xgboost", n_estimators=5, max_depth=2, backend="clear")
    model.fit(X, names[y]).compile()
    report = compare_with_cleartext(model, X_test, names[y_test])
    assert report.exact_rows == report.equal_labels == len(X_test)
    assert values(report, "accuracy")["float"] == model.score(X_test, names[y_test])


def test_models_on_bins_are_compared_with_what_was_trained(cancer):
    X, X_test, y, y_test = cancer
    model = FHEDecisionTreeClassifier(max_depth=3, quantizer="uniform", backend="clear", random_state=0)
    report = compare_with_cleartext(model.fit(X, y).compile(), X_test, y_test)
    assert report.equal_labels == len(X_test)


def test_regressors(diabetes):
    X, X_test, y, y_test = diabetes
    model = FHERandomForestRegressor(n_estimators=5, max_depth=3, backend="clear", random_state=0).fit(X, y).compile()
    report = compare_with_cleartext(model, X_test, y_test)
    assert report.equal_labels is None
    assert values(report, "r2")["encrypted"] == r2_score(y_test, model.predict(X_test))
    assert report.max_score_error < 1e-4 * np.ptp(y)


def test_outlier_detectors(cancer):
    X, X_test, _, y_test = cancer
    model = FHEIsolationForest(n_estimators=5, random_state=0, contamination=0.1, backend="clear").fit(X).compile()
    report = compare_with_cleartext(model, X_test, y_test)
    assert report.equal_labels == len(X_test)
    assert set(values(report, "roc_auc")) == {"float", "quantized", "encrypted"}


def test_pipelines_and_searches(cancer):
    X, X_test, y, y_test = cancer
    tree = FHEDecisionTreeClassifier(backend="clear", random_state=0)
    search = GridSearchCV(make_pipeline(StandardScaler(), tree), {"fhedecisiontreeclassifier__max_depth": [1, 3]}, cv=2)
    search.fit(X, y).best_estimator_[-1].compile()
    report = compare_with_cleartext(search, X_test, y_test, n_bootstrap=10)
    assert report.equal_labels == len(X_test)
    assert values(report, "accuracy")["encrypted"] == search.score(X_test, y_test)


def test_other_ways_to_name_metrics(forest, cancer):
    _, X, _, y = cancer
    settings = {"fhe": "disable", "n_bootstrap": 5}
    assert set(values(compare_with_cleartext(forest, X, y, scoring="f1", **settings), "f1")) == {
        "float",
        "quantized",
        "encrypted",
    }

    def share_of_ones(estimator, rows, targets):
        return estimator.predict(rows).mean()

    assert values(compare_with_cleartext(forest, X, y, scoring=share_of_ones, **settings), "share_of_ones")
    assert values(compare_with_cleartext(forest, X, y, scoring={"mine": "f1"}, **settings), "mine")
    assert compare_with_cleartext(forest, X, **settings).metrics == []


def test_bad_input(forest, cancer):
    X, _, y, _ = cancer
    with pytest.raises(ValueError, match="fhe='maybe'"):
        compare_with_cleartext(forest, X, y, fhe="maybe")
    with pytest.raises(ValueError, match="426 rows and y 3"):
        compare_with_cleartext(forest, X, y[:3])
    with pytest.raises(ValueError, match="n_rows=0"):
        compare_with_cleartext(forest, X, y, n_rows=0)
    with pytest.raises(TypeError, match="estimator is a SVC"):
        compare_with_cleartext(SVC(), X, y)
    with pytest.raises(NotCompiledError, match=r"call FHEClassifier\.compile\(\)"):
        compare_with_cleartext(FHEClassifier().fit(X, y), X, y)


def test_the_report_prints_what_matters(forest, cancer):
    text = str(compare_with_cleartext(forest, cancer[1], cancer[3], n_bootstrap=5))
    for part in ("143 of 143", "accuracy", "evaluation keys", "security bits  128", "client learns", "rows/s"):
        assert part in text
