"""``fhe-estimators predict``: tables of scores, nothing lost and nothing twice."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("prometheus_client")
pytest.importorskip("pandas")

import pandas

from fhe_estimators import FHERegressor
from fhe_estimators.cli import main
from fhe_estimators.serving.client import scores_file
from tests.serving.served import iris_model, metric, served

TOKEN = "token-of-alice"
#: Ends a run after some parts.
SMALL = ("--rows-per-request", "10", "--concurrent", "2")


@pytest.fixture(autouse=True)
def token(monkeypatch):
    monkeypatch.setenv("FHE_ESTIMATORS_TOKEN", TOKEN)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return (folder, *iris_model(folder))


@pytest.fixture(scope="module")
def service(model):
    with served([model[0] / "model.server.fhe"]) as found:
        yield found


def scored(service, rows, out, *options):
    return main(["predict", service[1], str(rows), "--out", str(out), "--quiet", *options])


@pytest.fixture
def crash_after(monkeypatch):
    """Ends a run at a part, before or after its journal is there."""

    @contextmanager
    def crashing(n, *, in_the_journal):
        written, replace = [], os.replace

        def failing(source, target):
            written.append(target)
            if not in_the_journal:
                replace(source, target)
            if len(written) == n:
                raise KeyboardInterrupt
            if in_the_journal:
                replace(source, target)

        monkeypatch.setattr(scores_file, "os", SimpleNamespace(**{**vars(os), "replace": failing}))
        with pytest.raises(KeyboardInterrupt):
            yield
        monkeypatch.setattr(scores_file, "os", os)

    return crashing


class TestCSV:
    def test_tables_of_scores(self, service, model, tmp_path, capsys):
        _, clf, X = model
        X.assign(number=range(len(X)), other="x").iloc[:, ::-1].to_csv(tmp_path / "rows.csv", index=False)
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        assert scored(service, rows, out, "--keep", "number", "--rows-per-request", "40") == 0
        table = pandas.read_csv(out)
        np.testing.assert_array_equal(table["number"], np.arange(len(X)))
        np.testing.assert_array_equal(table["prediction"], clf.predict(X))
        assert [path.name for path in tmp_path.iterdir() if "scores" in path.name] == ["scores.csv"]
        assert scored(service, rows, out) == 1 and "exists already" in capsys.readouterr().err
        out.unlink()
        assert scored(service, rows, out, "--method", "predict_proba") == 0
        table = pandas.read_csv(out, float_precision="round_trip")
        assert list(table) == [f"probability_{label}" for label in clf.classes_]
        np.testing.assert_array_equal(table, clf.predict_proba(X))

    def test_columns_that_are_not_there_or_there_twice(self, service, model, tmp_path, capsys):
        _, _, X = model
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        X.iloc[:, 1:].assign(prediction=1).to_csv(rows, index=False)
        assert scored(service, rows, out) == 1
        assert "lacks 1 columns of the model: 'sepal length (cm)'" in capsys.readouterr().err
        assert scored(service, rows, tmp_path / "other.csv", "--keep", "number") == 1
        assert "lacks columns that are to be kept: 'number'" in capsys.readouterr().err
        X.assign(prediction=1).to_csv(rows, index=False)
        assert scored(service, rows, tmp_path / "third.csv", "--keep", "prediction") == 1
        assert "rename it in the rows" in capsys.readouterr().err

    def test_what_would_be_shifted_or_made_missing_is_refused(self, service, model, tmp_path, capsys):
        rows = tmp_path / "rows.csv"
        lines = model[2].to_csv(index=False).splitlines()
        cut = [*lines[:60], lines[60].rpartition(",")[0], *lines[61:]]
        twice = [lines[0] + "," + lines[0].rpartition(",")[2], *[line + ",1" for line in lines[1:]]]
        words = [*lines[:60], "tall" + lines[60][lines[60].index(",") :], *lines[61:]]
        cases = ((cut, "Line 61 has 3 cells"), (twice, "the same name"), (words, "Row 60, column 'sepal length (cm)'"))
        for number, (text, message) in enumerate(cases):
            rows.write_text("\n".join(text))
            assert scored(service, rows, tmp_path / f"scores_{number}.csv", *SMALL) == 1
            assert message in capsys.readouterr().err

    def test_categories_are_what_they_look_like(self, tmp_path, capsys):
        """Not the numbers that they could be read as."""
        lightgbm = pytest.importorskip("lightgbm")
        X = pandas.DataFrame({"code": pandas.Categorical(["01", "1", "2", "NA"] * 50)})
        model = lightgbm.LGBMRegressor(n_estimators=5, min_child_samples=5).fit(X, [0.0, 1.0, 2.0, 3.0] * 50)
        reg = FHERegressor.from_fitted(model, X, backend="clear").compile()
        reg.save_server(tmp_path / "model.server.fhe")
        reg.save_client(tmp_path / "model.client.fhe")
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        texts = ["NA", "01", "1", "2", "5"]
        rows.write_text("code\n" + "\n".join(texts))
        with served([tmp_path / "model.server.fhe"]) as service:
            assert scored(service, rows, out, "--rows-per-request", "2", "--concurrent", "1") == 0
        known = pandas.Categorical([*texts[:-1], None], categories=X["code"].cat.categories)
        expected = model.predict(pandas.DataFrame({"code": known}))
        np.testing.assert_allclose(pandas.read_csv(out)["prediction"], expected, atol=1e-4)
        assert "categories that the training set did not have: '5'" in capsys.readouterr().err

    def test_what_is_kept_stays_the_text_it_is(self, service, model, tmp_path):
        """A number in the first part may be none in the next, and one of many digits is no float."""
        _, clf, X = model
        texts = ["007", "1.50", "NA", "", "9007199254740993", "a,b", '"', "True"]
        texts = [texts[i // 25] if i < 150 else "x" for i in range(len(X))]
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        X.assign(id=texts).to_csv(rows, index=False)
        assert scored(service, rows, out, "--keep", "id", X.columns[2], *SMALL) == 0
        table = pandas.read_csv(out, dtype=str, na_filter=False)
        assert table["id"].tolist() == texts
        assert table[X.columns[2]].astype(float).tolist() == X[X.columns[2]].tolist()
        assert table["prediction"].astype(int).tolist() == clf.predict(X).tolist()

    def test_runs_that_were_interrupted_go_on(self, service, model, tmp_path, crash_after, capsys):
        _, clf, X = model
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        X.to_csv(rows, index=False)
        for n, in_the_journal in ((2, True), (2, False), (1, True), (3, False)):
            with crash_after(n, in_the_journal=in_the_journal):
                scored(service, rows, out, *SMALL)
            assert not out.exists()
        assert scored(service, rows, out, *SMALL, "--method", "predict_proba") == 1
        assert "begun with other rows, another model or other options" in capsys.readouterr().err
        before = metric(service[2], "fhe_evaluation_seconds_count")
        assert scored(service, rows, out, *SMALL) == 0
        np.testing.assert_array_equal(pandas.read_csv(out)["prediction"], clf.predict(X))
        assert metric(service[2], "fhe_evaluation_seconds_count") - before < 10  # of 15 requests

    def test_two_runs_at_once(self, service, model, tmp_path, capsys):
        """One that a timer starts while the one before is still at work."""
        rows, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
        model[2].to_csv(rows, index=False)
        with scores_file.ScoresFile(out, {}):
            assert scored(service, rows, out) == 1
            assert "Another process is writing" in capsys.readouterr().err

    def test_a_full_disk(self, service, model, tmp_path, monkeypatch, capsys):
        _, clf, X = model
        rows, out, full = tmp_path / "rows.csv", tmp_path / "scores.csv", []
        X.to_csv(rows, index=False)

        def fsync(descriptor):
            full.append(descriptor)
            if len(full) == 3:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr(scores_file, "os", SimpleNamespace(**{**vars(os), "fsync": fsync}))
        assert scored(service, rows, out, *SMALL) == 1
        assert "No space left" in capsys.readouterr().err and not out.exists()
        assert scored(service, rows, out, *SMALL) == 0
        np.testing.assert_array_equal(pandas.read_csv(out)["prediction"], clf.predict(X))


def test_without_pyarrow(service, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert scored(service, tmp_path / "rows.parquet", tmp_path / "scores.csv") == 1
    assert "fhe-estimators[parquet]" in capsys.readouterr().err


class TestParquet:
    @pytest.fixture
    def pyarrow(self):
        return pytest.importorskip("pyarrow")

    @pytest.fixture
    def table(self, pyarrow, model):
        """Rows, and columns of types that text does not have."""
        X = model[2]
        n = len(X)
        columns = {
            "integer": pyarrow.array([None if i > 30 and i % 7 == 0 else 2**60 + i for i in range(n)], pyarrow.int64()),
            "time": pyarrow.array([10**15 + i for i in range(n)], pyarrow.timestamp("us", "UTC")),
            "category": pyarrow.array([f"kind {i // 50}" for i in range(n)]).dictionary_encode(),
            "list": pyarrow.array([[i] * (i % 3) for i in range(n)]),
            "nothing until late": pyarrow.array([None] * (n - 1) + ["x"]),
        }
        return pyarrow.table({**{name: X[name].to_numpy() for name in X}, **columns}), list(columns)

    def test_types_are_kept(self, service, model, pyarrow, table, tmp_path):
        import pyarrow.parquet

        table, names = table
        rows, out = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
        pyarrow.parquet.write_table(table, rows, row_group_size=33)
        assert scored(service, rows, out, "--keep", *names, *SMALL) == 0
        found = pyarrow.parquet.read_table(out)
        assert found.column_names == [*names, "prediction"]
        for name in names:
            assert found[name].to_pylist() == table[name].to_pylist(), name
        assert found.schema.field("time").type == table.schema.field("time").type
        np.testing.assert_array_equal(found["prediction"].to_numpy(), model[1].predict(model[2]))
        assert [path.name for path in tmp_path.iterdir() if "scores" in path.name] == ["scores.parquet"]

    def test_from_one_kind_of_file_to_the_other(self, service, model, pyarrow, table, tmp_path):
        import pyarrow.parquet

        table, names = table
        rows, out = tmp_path / "rows.parquet", tmp_path / "scores.csv"
        pyarrow.parquet.write_table(table, rows)
        assert scored(service, rows, out, "--keep", *names[:2], *SMALL) == 0
        found = pandas.read_csv(out, dtype=str, na_filter=False)
        assert found["integer"].tolist() == [
            "" if value is None else str(value) for value in table["integer"].to_pylist()
        ]
        model[2].assign(id=[f"{i:04}" for i in range(len(model[2]))]).to_csv(tmp_path / "rows.csv", index=False)
        assert scored(service, tmp_path / "rows.csv", tmp_path / "two.parquet", "--keep", "id", *SMALL) == 0
        assert pyarrow.parquet.read_table(tmp_path / "two.parquet")["id"].to_pylist()[:2] == ["0000", "0001"]

    def test_runs_that_were_interrupted_go_on(self, service, model, pyarrow, table, tmp_path, crash_after):
        import pyarrow.parquet

        table, names = table
        rows, out = tmp_path / "rows.parquet", tmp_path / "scores.parquet"
        pyarrow.parquet.write_table(table, rows)
        for n, in_the_journal in ((2, True), (2, False), (1, True), (3, False)):
            with crash_after(n, in_the_journal=in_the_journal):
                scored(service, rows, out, "--keep", *names, *SMALL)
            assert not out.exists()
        assert scored(service, rows, out, "--keep", *names, *SMALL) == 0
        found = pyarrow.parquet.read_table(out)
        assert found["integer"].to_pylist() == table["integer"].to_pylist()
        np.testing.assert_array_equal(found["prediction"].to_numpy(), model[1].predict(model[2]))


@pytest.mark.parametrize("n_rows", [20_000, pytest.param(400_000, marks=pytest.mark.slow)])
def test_rows_of_a_command_that_is_killed_twice(service, model, tmp_path, n_rows):
    """Each row once and right, whenever the kill comes."""
    _, clf, X = model
    drawn = X.iloc[np.random.default_rng(0).integers(len(X), size=n_rows)].assign(id=np.arange(n_rows))
    rows, out, journal = (tmp_path / name for name in ("rows.csv", "scores.csv", "scores.csv.progress.json"))
    drawn.to_csv(rows, index=False)
    command = [sys.executable, "-m", "fhe_estimators", "predict", service[1], str(rows), "--out", str(out), "--quiet"]
    command += ["--keep", "id", "--rows-per-request", str(n_rows // 100), "--concurrent", "1"]
    for _ in range(2):
        before = journal.read_bytes() if journal.exists() else b""
        with subprocess.Popen(command) as process:
            while not journal.exists() or journal.read_bytes() == before:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert not out.exists()
    subprocess.run(command, check=True)
    found = pandas.read_csv(out)
    np.testing.assert_array_equal(found["id"], np.arange(n_rows))
    np.testing.assert_array_equal(found["prediction"], clf.predict(drawn[X.columns]))
