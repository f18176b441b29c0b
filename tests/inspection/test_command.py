from importlib import import_module

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble, tree
from sklearn.base import is_classifier
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.tree import DecisionTreeClassifier

from fhe_estimators.cli import main
from fhe_estimators.inspection._compare_command import TRUSTED_TYPES, load_model
from tests.plugin import missing


@pytest.fixture
def table(tmp_path):
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X.assign(benign=y).to_csv(tmp_path / "rows.csv", index=False)
    return X, y, tmp_path / "rows.csv"


def test_xgboost_files(tmp_path, table, capsys):
    xgboost = pytest.importorskip("xgboost")
    X, y, rows = table
    xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y).save_model(tmp_path / "model.json")
    figures = tmp_path / "figures.csv"
    command = ["compare", str(tmp_path / "model.json"), str(rows), "--target", "benign", "--rows", "50"]
    assert main([*command, "--scoring", "roc_auc", "--csv", str(figures)]) == 0
    printed = capsys.readouterr().out
    assert "50 of 50" in printed
    assert "roc_auc" in printed
    assert "evaluation keys" in printed
    assert set(pd.read_csv(figures)["group"]) == {"metric", "agreement", "seconds", "bytes"}


def test_regressors(tmp_path, capsys):
    xgboost = pytest.importorskip("xgboost")
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    X.assign(y=y).to_csv(tmp_path / "rows.csv", index=False)
    xgboost.XGBRegressor(n_estimators=3, max_depth=2).fit(X, y).save_model(tmp_path / "model.ubj")
    command = ["compare", str(tmp_path / "model.ubj"), str(tmp_path / "rows.csv"), "--target", "y"]
    assert main([*command, "--fhe", "disable"]) == 0
    assert "r2" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_lightgbm_files(kind, tmp_path, table, capsys):
    lightgbm = pytest.importorskip("lightgbm")
    X, y, rows = table
    model = lightgbm.LGBMClassifier if kind == "classifier" else lightgbm.LGBMRegressor
    model(n_estimators=3, max_depth=2, verbosity=-1).fit(X, y).booster_.save_model(tmp_path / "model.txt")
    command = ["compare", str(tmp_path / "model.txt"), str(rows), "--target", "benign", "--rows", "50"]
    assert main([*command, "--backend", "clear"]) == 0
    printed = capsys.readouterr().out
    assert "50 of 50" in printed
    assert ("roc_auc" if kind == "classifier" else "r2") in printed
    (tmp_path / "model.txt").write_text("no trees")
    assert main(command) == 1
    assert "no file that LightGBM" in capsys.readouterr().err


def test_skops_files(tmp_path, table, capsys):
    skops = pytest.importorskip("skops.io")
    X, y, rows = table
    skops.dump(DecisionTreeClassifier(max_depth=2).fit(X, y), tmp_path / "model.skops")
    assert main(["compare", str(tmp_path / "model.skops"), str(rows), "--target", "benign", "--backend", "clear"]) == 0
    assert "569 of 569" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["Classifier", "Regressor"])
def test_catboost_files(tmp_path, table, capsys, kind):
    catboost = pytest.importorskip("catboost")
    _, y, rows = table
    frame = pd.read_csv(rows).drop(columns="benign")
    model = getattr(catboost, f"CatBoost{kind}")(iterations=3, logging_level="Silent", allow_writing_files=False)
    model.fit(frame, y).save_model(str(tmp_path / "model.cbm"))
    command = ["compare", str(tmp_path / "model.cbm"), str(rows), "--target", "benign", "--backend", "clear"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "569 of 569" in printed and ("labels of the float model" in printed) == (kind == "Classifier")
    (tmp_path / "model.cbm").write_bytes(b"no model")
    assert main(command) == 1
    assert "no file that CatBoost" in capsys.readouterr().err


@pytest.mark.filterwarnings("error:X ")
def test_boosters_with_names(tmp_path, table, capsys):
    xgboost = pytest.importorskip("xgboost")
    _, y, rows = table
    frame = pd.read_csv(rows).drop(columns="benign")
    xgboost.XGBClassifier(n_estimators=2).fit(frame, y).save_model(tmp_path / "model.json")
    assert main(["compare", str(tmp_path / "model.json"), str(rows), "--target", "benign", "--backend", "clear"]) == 0
    assert "569 of 569" in capsys.readouterr().out


def supported_models():
    for name in ("DecisionTree", "ExtraTree"):
        yield from (getattr(tree, name + kind)(max_depth=2) for kind in ("Classifier", "Regressor"))
    for name in ("RandomForest", "ExtraTrees", "GradientBoosting"):
        for kind in ("Classifier", "Regressor"):
            yield getattr(ensemble, name + kind)(n_estimators=2, max_depth=2, random_state=np.random.RandomState(0))
    for loss in ("huber", "quantile", "absolute_error"):
        yield ensemble.GradientBoostingRegressor(n_estimators=2, loss=loss)
    yield ensemble.GradientBoostingClassifier(n_estimators=2, loss="exponential")
    for loss in ("squared_error", "absolute_error", "gamma", "poisson", "quantile"):
        yield ensemble.HistGradientBoostingRegressor(max_iter=2, loss=loss, quantile=0.5)
    yield ensemble.HistGradientBoostingClassifier(max_iter=2)
    yield ensemble.IsolationForest(n_estimators=2)


def boosters():
    xgboost, lightgbm = (pytest.importorskip(library) for library in ("xgboost", "lightgbm"))
    yield from (xgboost.XGBClassifier(n_estimators=2), xgboost.XGBRegressor(n_estimators=2))
    yield from (lightgbm.LGBMClassifier(n_estimators=2, verbose=-1), lightgbm.LGBMRegressor(n_estimators=2, verbose=-1))


@pytest.mark.parametrize("models", [supported_models, boosters])
def test_every_supported_model_is_read_from_skops_files(tmp_path, models):
    skops = pytest.importorskip("skops.io")
    X = np.random.default_rng(0).normal(size=(80, 5))
    for model in models():
        y = (X[:, 0] > 0).astype(int)
        model.fit(pd.DataFrame(X, columns=list("abcde")), y if is_classifier(model) else X[:, 1] ** 2 + 1)
        skops.dump(model, tmp_path / "model.skops")
        loaded = load_model(tmp_path / "model.skops")
        np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_every_trusted_type_is_one_that_exists_and_is_no_function():
    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        if not missing((module.partition(".")[0],)):
            assert isinstance(getattr(import_module(module), attribute), type)


def test_broken_skops_files(tmp_path, table, capsys):
    pytest.importorskip("skops.io")
    for content in (b"", b"no zip", b"PK\x03\x04"):
        (tmp_path / "model.skops").write_bytes(content)
        assert main(["compare", str(tmp_path / "model.skops"), str(table[2]), "--target", "benign"]) == 1
        assert "no file that skops.io.dump wrote" in capsys.readouterr().err


def test_pickles_are_refused(tmp_path, table, capsys):
    X, y, rows = table
    joblib.dump(DecisionTreeClassifier(max_depth=2).fit(X, y), tmp_path / "model.joblib")
    assert main(["compare", str(tmp_path / "model.joblib"), str(rows), "--target", "benign"]) == 1
    assert "Pickles are not read" in capsys.readouterr().err


def test_bad_input(tmp_path, table, capsys):
    xgboost = pytest.importorskip("xgboost")
    X, y, rows = table
    model = str(tmp_path / "model.json")
    assert main(["compare", model, str(rows), "--target", "benign"]) == 1
    assert "no model file" in capsys.readouterr().err
    xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y).save_model(model)
    assert main(["compare", model, str(rows), "--target", "price"]) == 1
    assert "'price' is no column" in capsys.readouterr().err
    X.assign(benign=1, colour="red").to_csv(rows, index=False)
    assert main(["compare", model, str(rows), "--target", "benign"]) == 1
    assert "['colour'] are text" in capsys.readouterr().err
