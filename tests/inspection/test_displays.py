import numpy as np
import pytest
from matplotlib import pyplot

from fhe_estimators import FHEDecisionTreeClassifier, FHEGradientBoostingRegressor
from fhe_estimators.exceptions import NotCompiledError
from fhe_estimators.inspection import (
    AgreementDisplay,
    ContributionDisplay,
    CostDisplay,
    DecisionBoundaryComparisonDisplay,
    FineTuningDisplay,
    NoiseBudgetDisplay,
    QuantizationCurveDisplay,
)


def test_agreement(forest, cancer):
    display = AgreementDisplay.from_estimator(forest, cancer[1], color="C2")
    difference = display.points_.get_offsets()[:, 1]
    assert len(difference) == 2 * len(cancer[1])
    assert 0 < np.abs(difference).max() < 1e-4
    assert display.figure_ is display.ax_.figure
    assert "largest difference" in display.ax_.get_title()


def test_agreement_from_predictions():
    ax = pyplot.subplots()[1]
    display = AgreementDisplay.from_predictions([0.1, 0.2], [0.1, 0.3], name="mine", ax=ax)
    assert display.ax_ is ax
    np.testing.assert_allclose(display.points_.get_offsets()[:, 1], [0, 0.1])
    with pytest.raises(ValueError, match="differ in shape"):
        AgreementDisplay.from_predictions([0.1], [0.1, 0.3])


def test_displays_that_encrypt_need_a_compiled_model(cancer):
    tree = FHEDecisionTreeClassifier(max_depth=2).fit(cancer[0], cancer[2])
    for display in (AgreementDisplay, NoiseBudgetDisplay, CostDisplay):
        with pytest.raises(NotCompiledError, match=r"compile\(\)"):
            display.from_estimator(tree, cancer[1])


def test_quantization_curve(cancer):
    X, _, y, _ = cancer
    tree = FHEDecisionTreeClassifier(max_depth=3, random_state=0)
    display = QuantizationCurveDisplay.from_estimator(tree, X, y, n_bits=[1, 4], cv=3)
    assert display.scores.shape == (2, 3)
    assert np.all((display.scores > 0.8) & (display.scores <= 1))
    assert not np.array_equal(display.scores[0], display.scores[1])
    assert display.float_scores.shape == (3,)
    assert display.ax_.get_ylabel() == "accuracy"
    with pytest.raises(ValueError, match="quantizer='threshold' has no number of bits"):
        QuantizationCurveDisplay.from_estimator(tree, X, y, quantizer="threshold")


def test_costs_of_rows(forest, cancer):
    display = CostDisplay.from_estimator(forest, cancer[1], values=[1, 300])
    assert [line.get_label() for line in display.lines_] == ["encrypt", "evaluate", "decrypt"]
    assert all(len(line.get_xdata()) == 2 for line in display.lines_)
    assert display.costs[0]["request_bytes"] < display.costs[1]["request_bytes"]
    display.plot(kind="bytes")
    assert display.ax_.get_ylabel() == "bytes"
    with pytest.raises(ValueError, match="kind='joules'"):
        display.plot(kind="joules")


def test_costs_of_trees(diabetes):
    X, _, y, _ = diabetes
    model = FHEGradientBoostingRegressor(library="sklearn", max_depth=2, backend="clear")
    display = CostDisplay.from_estimator(model, X, y, param_name="n_estimators", values=[2, 4], repeat=2)
    assert display.ax_.get_xlabel() == "trees"
    assert not hasattr(model, "estimator_")


def test_noise(forest, cancer):
    display = NoiseBudgetDisplay.from_estimator(forest, cancer[1])
    assert display.errors.shape == (len(cancer[1]), 1)  # the other class follows from the one
    assert 0 < np.abs(display.errors).max() < 8 * display.predicted_std
    assert display.bits_left_ > 2
    tree = FHEDecisionTreeClassifier(max_depth=2, backend="clear").fit(cancer[0], cancer[2]).compile()
    with pytest.raises(ValueError, match="'clear' backend has no noise"):
        NoiseBudgetDisplay.from_estimator(tree, cancer[1])
    with pytest.raises(ValueError, match="all 0"):
        NoiseBudgetDisplay.from_predictions(np.zeros(3), 0.1)


def test_decision_boundaries(iris):
    X, _, y, _ = iris
    X = X.iloc[:, 2:]
    tree = FHEDecisionTreeClassifier(max_depth=3, random_state=0).fit(X, y).compile()
    display = DecisionBoundaryComparisonDisplay.from_estimator(tree, X, grid_resolution=20)
    assert display.n_different == 0
    assert display.ax_.get_xlabel() == "petal length (cm)"
    assert set(np.unique(display.encrypted)) == {0, 1, 2}
    display.encrypted = 1 - display.encrypted.clip(0, 1)
    with pytest.raises(ValueError, match="must have 2 features"):
        DecisionBoundaryComparisonDisplay.from_estimator(tree, np.zeros((3, 4)))


def test_boundaries_that_differ_are_marked():
    grid = np.meshgrid(np.arange(4.0), np.arange(4.0))
    floats = (grid[0] > 1).astype(int)
    encrypted = floats.copy()
    encrypted[0, 0] = 1
    display = DecisionBoundaryComparisonDisplay(*grid, encrypted, floats).plot()
    assert display.n_different == 1
    assert display.ax_.lines[0].get_xdata().tolist() == [0.0]


def history(losses):
    phases = {f"{phase}_seconds": 1.0 for phase in ("client_crypto", "client_model", "worker", "transfer")}
    return [{"loss": loss, **phases} for loss in losses]


def test_fine_tuning():
    histories = {"execute": history([3.0, 2.0, 1.0]), "simulate": history([3.0, 1.0])}
    display = FineTuningDisplay.from_histories(histories, smooth=2)
    assert [line.get_label() for line in display.ax_.lines] == ["execute", "simulate"]
    np.testing.assert_allclose(display.ax_.lines[0].get_ydata(), [2.5, 1.5])
    bars = FineTuningDisplay.from_histories(histories, kind="seconds").ax_.patches
    assert len(bars) == 8
    assert bars[-1].get_x() == 3.0
    with pytest.raises(ValueError, match="must not be empty"):
        FineTuningDisplay.from_histories({"nothing": []})
    with pytest.raises(ValueError, match="kind='bytes'"):
        display.plot(kind="bytes")


def test_contributions():
    display = ContributionDisplay([0.5, -2.0, 0.1, 0.2, 1.0], ["a", "b", "c", "d"]).plot(max_features=2)
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["b", "a", "2 others"]
    starts = [bar.get_x() for bar in display.bars_]
    lengths = [bar.get_width() for bar in display.bars_]
    np.testing.assert_allclose(lengths, [-2.0, 0.5, 0.3])
    np.testing.assert_allclose(starts, [1.0, -1.0, -0.5])  # each bar begins where the one before it ends
    with pytest.raises(ValueError, match="one sample and score"):
        ContributionDisplay(np.zeros((2, 3))).plot()
    with pytest.raises(ValueError, match="3 names for 2 features"):
        ContributionDisplay(np.zeros(3), "abc").plot()
    with pytest.raises(ValueError, match="max_features must be at least 1"):
        ContributionDisplay(np.zeros(3)).plot(max_features=0)


def test_contributions_of_an_estimator(forest, cancer):
    display = ContributionDisplay.from_estimator(forest, cancer[1][:1], fhe="disable")
    expected = forest.predict_contributions(cancer[1][:1])
    np.testing.assert_array_equal(display.contributions, expected[0])
    with pytest.raises(ValueError, match="X must be one sample, got 2"):
        ContributionDisplay.from_estimator(forest, cancer[1][:2], fhe="disable")
    with pytest.raises(ValueError, match="score=1 is out of range"):
        ContributionDisplay.from_estimator(forest, cancer[1][:1], fhe="disable", score=1)
