"""Names that libraries rewrite are the names of the user's frame; columns in another order are an error."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from fhe_estimators import FHEClassifier
from fhe_estimators.serving import FHEClient
from fhe_estimators.utils import validate_data

X, y = load_breast_cancer(as_frame=True, return_X_y=True)
LIBRARIES = ("lightgbm", "lightgbm booster", "xgboost", "xgboost booster", "catboost", "sklearn")


def trained(library, frame):
    """A model, and its own labels."""
    name, _, booster = library.partition(" ")
    module = pytest.importorskip(name)
    if name == "lightgbm":
        model = module.LGBMClassifier(n_estimators=3, verbosity=-1)
    elif name == "xgboost":
        model = module.XGBClassifier(n_estimators=3)
    elif name == "catboost":
        model = module.CatBoostClassifier(iterations=3, logging_level="Silent", allow_writing_files=False)
    else:
        model = RandomForestClassifier(3, max_depth=3, random_state=0)
    labels = model.fit(frame, y).predict(frame)
    if booster:
        model = model.booster_ if name == "lightgbm" else model.get_booster()
    return model, labels


@pytest.mark.filterwarnings("error:X ")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("with_rows", [False, True])
def test_the_training_frame_is_accepted(library, with_rows, tmp_path):
    model, labels = trained(library, X)
    clf = FHEClassifier.from_fitted(model, X if with_rows else None, backend="clear").compile()
    np.testing.assert_array_equal(clf.predict(X), labels)
    clf.save_client(tmp_path / "client.fhe")
    client = FHEClient.load(tmp_path / "client.fhe")
    np.testing.assert_array_equal(client.quantize(X), clf.quantize(X))
    if with_rows:
        assert clf.feature_names_in_.tolist() == X.columns.tolist()
    for use in (clf.predict, client.quantize):
        with pytest.raises(ValueError, match="feature names should match"):
            use(X[X.columns[::-1]])


@pytest.mark.parametrize("library", LIBRARIES)
def test_rows_with_columns_in_another_order_are_refused(library):
    with pytest.raises(ValueError, match="feature names should match"):
        FHEClassifier.from_fitted(trained(library, X)[0], X[X.columns[::-1]])


@pytest.mark.filterwarnings("error:X ")
@pytest.mark.parametrize("library", LIBRARIES[:-1])
def test_labels_that_are_numbers(library):
    numbered = X.set_axis(range(7, 37), axis=1)
    model, labels = trained(library, numbered)
    for rows in (None, numbered):
        clf = FHEClassifier.from_fitted(model, rows, backend="clear")
        np.testing.assert_array_equal(clf.predict(numbered), labels)
        with pytest.raises(ValueError, match=r"should match|must be in the same order|unseen"):
            clf.predict(X)


@pytest.mark.filterwarnings("error:X ")
def test_labels_of_several_levels():
    levels = X.set_axis(pd.MultiIndex.from_product([list("abc"), range(10)]), axis=1)
    model, labels = trained("xgboost", levels)
    for rows in (None, levels):
        np.testing.assert_array_equal(FHEClassifier.from_fitted(model, rows, backend="clear").predict(levels), labels)


@pytest.mark.filterwarnings("error:X ")
@pytest.mark.parametrize("library", LIBRARIES)
def test_arrays_have_no_names(library):
    model, labels = trained(library, X.to_numpy())
    clf = FHEClassifier.from_fitted(model, backend="clear")
    assert not hasattr(clf, "feature_names_in_")
    np.testing.assert_array_equal(clf.predict(X.to_numpy()), labels)


def test_subclasses_number_columns_as_their_library_does():
    lightgbm = pytest.importorskip("lightgbm")

    class Named(lightgbm.LGBMClassifier):
        """Changes nothing."""

    model = Named(n_estimators=2, verbosity=-1).fit(X.to_numpy(), y)
    assert not hasattr(FHEClassifier.from_fitted(model), "feature_names_in_")


def test_names_that_are_the_same_once_rewritten_are_told_apart():
    frame = pd.DataFrame({"a b": [0.0, 1.0], "a_b": [1.0, 0.0]})
    clf = RandomForestClassifier(2).fit(frame, [0, 1])
    validate_data(clf, frame, reset=False)
    with pytest.raises(ValueError, match="should match"):
        validate_data(clf, frame[["a_b", "a b"]], reset=False)
