"""What is typed and what files hold, as rows of a model; scores as a person reads them."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeRegressor

pytest.importorskip("pandas")

from fhe_estimators import FHEClassifier, FHEIsolationForest, FHERegressor
from fhe_estimators.ensembles import RowEncoding
from fhe_estimators.ensembles._encoding import CategoryColumn, CategorySet
from fhe_estimators.quantizers import ThresholdQuantizer
from fhe_estimators.serving import FHEClient, FHEServer
from fhe_estimators.serving.archive import load_client_archive
from fhe_estimators.serving.client.connect.results import Results
from fhe_estimators.serving.client.csv_rows import read_table
from fhe_estimators.serving.client.features import Features


class OfModel:
    """As much of a client's model as rows need."""

    def __init__(self, *, names=("size", "kind"), missing=True, options=("a", "01", "NA")):
        self.quantizer = ThresholdQuantizer()
        self.quantizer.edges_ = [np.array([0.1, 0.3]), np.zeros(0), np.array([0.5])]
        self.quantizer.input_dtype_ = "float64"
        kinds = (CategoryColumn(1, options),) if options else ()
        self.quantizer.set_encoding(
            RowEncoding(2, categories=kinds, sets=(CategorySet(1, (0,), False),))
            if options
            else RowEncoding(2, sets=(CategorySet(1, (0,), False),))
        )
        if names:
            self.quantizer.feature_names_in_ = np.array(names, dtype=object)
        self.row_checks = {"dtype": "float64", "ensure_all_finite": "allow-nan" if missing else True}


@pytest.fixture
def features():
    return Features(OfModel())


class TestTyped:
    def test_numbers_and_categories(self, features):
        row = features.row(["  0.1 ", "1"])
        assert row["size"][0] == 0.1 and row["kind"][0] == "01" and list(row.columns) == ["size", "kind"]
        assert features.all[0].hint == "compared with 0.1 to 0.3"
        assert np.isnan(features.row(["", "2"])["size"][0])
        assert np.isnan(features.row(["1", None])["kind"][0])

    @pytest.mark.parametrize("text", ["1,5", "abc", "1_000", "0x10", "nan", "inf", "1e999", "\uff11", "1 2"])
    def test_what_is_no_number_is_refused(self, features, text):
        with pytest.raises(ValueError, match="size"):
            features.row([text, "0"])

    @pytest.mark.parametrize("text", ["3", "-1", "a", "1.0"])
    def test_what_is_no_category_is_refused(self, features, text):
        with pytest.raises(ValueError, match="kind: no such category"):
            features.row(["1", text])

    def test_missing_values_only_where_the_model_takes_them(self):
        with pytest.raises(ValueError, match="size: the model takes no missing values"):
            Features(OfModel(missing=False)).row(["", "0"])
        with pytest.raises(ValueError, match="2 features; 1 values"):
            Features(OfModel()).row(["1"])

    def test_models_without_names_take_arrays(self):
        model = OfModel(names=None, options=None)
        rows = Features(model).row(["1.5", "2"])
        np.testing.assert_array_equal(rows, [[1.5, 2.0]])
        assert [feature.name for feature in Features(model).all] == ["Feature 1", "Feature 2"]


class TestFiles:
    def test_columns_are_found_by_name_and_others_kept(self, features):
        text = "id,kind,size\n=1,a,0.30000000000000004\n007,01,\nx,NA,1e-3\n"
        table = read_table(text.encode("utf-8-sig"), features)
        assert table.rows["size"].tolist()[::2] == [0.30000000000000004, 1e-3] and np.isnan(table.rows["size"][1])
        assert table.rows["kind"].tolist() == ["a", "01", "NA"]  # as written: neither 1 nor missing
        assert table.texts["id"].tolist() == ["=1", "007", "x"] and "'id'" in table.notes[0]

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    def test_separators_and_quotes(self, features, separator):
        text = 'size,kind\n1,"a"\n\n2,01\n'.replace(",", separator)
        assert read_table(text.encode(), features).rows["size"].tolist() == [1.0, 2.0]

    def test_unknown_categories_are_told(self, features):
        table = read_table(b"size,kind\n1,other\n1,\n", features)
        assert table.rows["kind"][0] == "other" and np.isnan(table.rows["kind"][1])
        assert "'other'" in table.notes[0] and len(table.notes) == 1

    def test_numbers_as_categories_go_by_value(self):
        features = Features(OfModel(options=(1, 2, 10)))
        table = read_table(b"size,kind\n1,1\n1,2.0\n1,1e1\n1,3\n", features)
        assert table.rows["kind"].tolist() == [1, 2, 10, "3"] and len(table.notes) == 1

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("size,kind\n1,a\n2", "Line 3 has 1 cells, and the header 2"),
            ("size,kind\n1,a,extra\n", "Line 2 has 3 cells"),
            ("size,kind\n1,5,a\n", "Line 2 has 3 cells"),
            ('size,kind\n1,"a\n', "is no CSV"),
            ("size,kind\n1;5,a\n", "Row 1, column 'size': '1;5' is no number"),
            ("size,kind\n1,a\n1_0,a\n", "Row 2, column 'size'"),
            ("size\n1\n", "lacks 1 columns of the model: 'kind'"),
            ("size,size,kind\n1,2,a\n", "same name: 'size'"),
            ("1.5,2\n1,2\n", "first line holds numbers"),
            ("size,kind\n", "no rows"),
            ("", "is empty"),
        ],
    )
    def test_what_is_not_right_is_refused_with_its_place(self, features, text, message):
        with pytest.raises(ValueError, match=message):
            read_table(text.encode(), features)

    def test_missing_cells_and_other_encodings(self):
        features = Features(OfModel(missing=False))
        with pytest.raises(ValueError, match="Row 2, column 'size' is missing"):
            read_table(b"size,kind\n1,a\nNA,a\n", features)
        with pytest.raises(ValueError, match="no UTF-8 text"):
            read_table("size,kind\n1,é\n".encode("latin-1"), features)

    def test_a_table_of_one_column_has_no_hole(self):
        model = OfModel(names=None, options=None)
        model.quantizer.encoding_ = None
        model.quantizer.n_features_in_ = 1
        features = Features(model)
        with pytest.raises(ValueError, match="Line 3 is empty"):
            read_table(b"x\n1\n\n2\n", features)
        assert np.isnan(read_table(b'x\n1\n""\n2\n\n', features).rows[1, 0])
        with pytest.raises(ValueError, match="1 features without names, and the file 2"):
            read_table(b"x,y\n1,2\n", features)


class TestResults:
    @staticmethod
    def results(estimator, X, folder):
        estimator.compile().save_client(folder / "client.fhe")
        model = load_client_archive(folder / "client.fhe")
        client = FHEClient(model)
        client.generate_keys()
        scores = client._scores(FHEServer(estimator.program_).run(client.encrypt(X), client.evaluation_keys), None)
        contributions = None
        if hasattr(estimator, "predict_contributions"):
            contributions = estimator.predict_contributions(X)
            contributions = contributions if contributions.ndim == 3 else contributions[:, None, :]
        return Results(model, [f"f{j}" for j in range(X.shape[1])], scores, contributions)

    def test_classes(self, tmp_path):
        X, y = load_iris(return_X_y=True)
        labels = np.array(["=cmd()", "-1", "c"])[y]
        clf = FHEClassifier(RandomForestClassifier(5, max_depth=3, random_state=0), backend="clear").fit(X, labels)
        found = self.results(clf, X, tmp_path)
        columns = found.columns()
        assert set(columns["prediction"]) == {"'=cmd()", "-1", "c"}  # no spreadsheet runs it
        probabilities = clf.predict_proba(X)
        np.testing.assert_allclose(columns["probability_c"], probabilities[:, list(clf.classes_).index("c")])
        ordered = np.sort(probabilities, axis=1)
        np.testing.assert_allclose(columns["margin"], ordered[:, 2] - ordered[:, 1], atol=1e-12)
        row = found.row(140)
        assert row["predictions"] == [clf.predict(X[140:141])[0]]
        (reason,) = row["reasons"]
        assert reason["to"] == f"class {row['predictions'][0]}"
        assert reason["sum"] == pytest.approx(probabilities[140].max(), abs=1e-3)
        sizes = [abs(value) for _, value in reason["features"]]
        assert sizes == sorted(sizes, reverse=True)

    def test_two_classes_share_a_score(self, tmp_path):
        X, y = load_iris(return_X_y=True)
        clf = FHEClassifier(RandomForestClassifier(3, max_depth=2, random_state=0), backend="clear").fit(X, y == 1)
        found = self.results(clf, X, tmp_path)
        p = clf.predict_proba(X)
        np.testing.assert_allclose(found.columns()["margin"], abs(p[:, 1] - p[:, 0]), atol=1e-12)
        for row in (0, 60):
            shown = found.row(row)["reasons"][0]
            which = list(clf.classes_).index(shown["to"] == "class True")
            assert shown["sum"] == pytest.approx(p[row, which], abs=1e-3)

    def test_several_outputs(self, tmp_path):
        X, y = load_iris(return_X_y=True)
        Y = np.column_stack([y, y == 1])
        clf = FHEClassifier(RandomForestClassifier(3, max_depth=2, random_state=0), backend="clear").fit(X, Y)
        found = self.results(clf, X[::10], tmp_path)
        row, p = found.row(7), clf.predict_proba(X[::10])
        assert len(row["predictions"]) == len(row["margins"]) == len(row["reasons"]) == 2
        assert row["reasons"][0]["sum"] == pytest.approx(p[0][7].max(), abs=1e-3)
        assert {"prediction_0", "prediction_1", "probability_0_2", "margin_1"} <= set(found.columns())

    def test_values_and_outliers(self, tmp_path):
        X, y = load_diabetes(return_X_y=True)
        reg = FHERegressor(DecisionTreeRegressor(max_depth=3), backend="clear").fit(X, y)
        found = self.results(reg, X[:5], tmp_path)
        assert found.margins is None and found.row(0)["probabilities"] == []
        assert found.row(0)["reasons"][0]["sum"] == pytest.approx(reg.predict(X[:1])[0], rel=1e-3)
        forest = FHEIsolationForest(n_estimators=5, random_state=0, backend="clear").fit(X)
        found = self.results(forest, X[:5], tmp_path)
        np.testing.assert_allclose(found.columns()["margin"], abs(forest.decision_function(X[:5])), atol=1e-6)
        assert found.row(0)["reasons"] == [] and set(found.columns()["prediction"]) <= {-1, 1}
