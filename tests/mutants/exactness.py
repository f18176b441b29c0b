"""Exact comparisons, ties, missing values, scales: what makes encrypted predictions equal those of the source."""

from tests.mutants.mutant import of_file

_EXACT = "quantizers/test_threshold.py::test_every_comparison_is_exact"
_EDGES = "ensembles/test_importers.py::test_real_and_edge_rows"
_MISSING = "ensembles/test_importers.py::test_trained_with_missing_values"
_KNOWN = "ensembles/test_known_predictions.py"
_TIES = "ensembles/test_ties.py"

MUTANTS = [
    *of_file(
        "quantizers/_base.py",
        ("bins: values on edges go right", 'block[:, j], side="left")', 'block[:, j], side="right")', _EXACT),
        (
            "bins: missing values have a bin of numbers",
            "of_block[np.isnan(block)] = MISSING",
            "of_block[np.isnan(block)] = 0",
            _EXACT,
        ),
    ),
    *of_file(
        "quantizers/_threshold.py",
        ("bins: strict thresholds as others", "if not ensemble.strict:", "if ensemble.strict is not None:", _EXACT),
        (
            "bins: thresholds of another model",
            "if len(nodes) and not (codes[nodes].max() < len(edges) and np.all(edges[codes[nodes]] == tests[nodes])):",
            "if len(nodes) and codes[nodes].max() < 0:",
            "quantizers/test_threshold.py::test_thresholds_of_another_ensemble_are_refused",
        ),
    ),
    *of_file(
        "ensembles/_evaluate.py",
        (
            "trees: strict thresholds as others",
            "right = v >= threshold if ensemble.strict else v > threshold",
            "right = v > threshold",
            f"{_EDGES}[xgboost-regression]",
        ),
        (
            "trees: values on thresholds go right",
            "right = v >= threshold if ensemble.strict else v > threshold",
            "right = v >= threshold",
            f"{_EDGES}[lightgbm]",
        ),
        (
            "trees: missing values as numbers",
            "np.where(missing, ensemble.missing_right[node], right)",
            "right",
            f"{_MISSING}[lightgbm]",
        ),
        (
            "trees: no base score",
            "return ensemble.base_score + sums",
            "return 0 * ensemble.base_score + sums",
            f"{_EDGES}[xgboost-regression]",
        ),
    ),
    *of_file(
        "ensembles/_from_xgboost.py",
        (
            "xgboost: missing values the other way",
            'missing_right=~np.array(tree["default_left"]',
            'missing_right=np.array(tree["default_left"]',
            f"{_MISSING}[xgboost-regression]",
        ),
        (
            "xgboost: one round too few",
            "int(model.best_iteration) + 1",
            "int(model.best_iteration)",
            "ensembles/test_unsupported.py::test_early_stopping_stops_where_the_model_does",
        ),
        ("xgboost: not strict", "strict=True,\n", "strict=False,\n", f"{_EDGES}[xgboost-regression]"),
        (
            "xgboost: values not in float32",
            'input_dtype="float32",\n        allow_nan',
            'input_dtype="float64",\n        allow_nan',
            f"{_EDGES}[xgboost-regression]",
        ),
        (
            "xgboost: missing values that are not NaN",
            "missing = None if model.missing is None or np.isnan(model.missing) else float(model.missing)",
            "missing = None",
            "ensembles/test_categories.py::test_values_that_stand_for_missing_ones_in_xgboost",
        ),
    ),
    *of_file(
        "ensembles/_from_lightgbm.py",
        (
            "lightgbm: missing values the other way",
            'return not node["default_left"]',
            'return node["default_left"]',
            f"{_MISSING}[lightgbm]",
        ),
        (
            "lightgbm: missing values as zero go right",
            'return not node["threshold"] >= 0.0',
            'return not node["threshold"] > 1e300',
            f"{_EDGES}[lightgbm]",
        ),
        ("lightgbm: tiny thresholds", "threshold[(threshold >= 0) & (threshold <= _ZERO)] = _ZERO", "pass", _TIES),
        ("lightgbm: the sigmoid's slope", "divisor=1.0 / sigmoid", "divisor=sigmoid", f"{_EDGES}[lightgbm-sigmoid]"),
    ),
    *of_file(
        "ensembles/_from_sklearn.py",
        ("scikit-learn: ties of boosting", "SigmoidLink(positive_on_tie=True, ", "SigmoidLink(", _TIES),
    ),
    *of_file(
        "ensembles/links/_classification.py",
        (
            "links: positive_on_tie is ignored",
            "margin >= 0 if self.positive_on_tie else margin > 0",
            "margin > 0",
            _TIES,
        ),
        (
            "links: ties are always positive",
            "margin >= 0 if self.positive_on_tie else margin > 0",
            "margin >= 0",
            _TIES,
        ),
        (
            "links: the last of equal classes",
            "return scores.argmax(axis=1)[:, None]",
            "return (scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1))[:, None]",
            _TIES,
        ),
    ),
    *of_file(
        "ensembles/links/_outliers.py",
        ("links: the border of outliers", "self.decision(scores) < 0", "self.decision(scores) <= 0", _TIES),
    ),
    *of_file(
        "ensembles/_known_predictions.py",
        (
            "imports: predictions of a subclass",
            'if cls.__module__.partition(".")[0] not in _KNOWN_LIBRARIES:',
            "if not cls.__module__:",
            _KNOWN,
        ),
        ("imports: a method set on the object", "if name in vars(model):", 'if name == "":', _KNOWN),
    ),
    *of_file(
        "estimators/_import_check.py",
        ("imports: differences of a tenth", "_OF_FLOAT64 = 1e-4, ", "_OF_FLOAT64 = 1e-1, ", _KNOWN),
        (
            "imports: no missing values are compared",
            "if ensemble.allow_nan:",
            "if ensemble.allow_nan is None:",
            f"{_KNOWN}::test_samples_lie_around_thresholds",
        ),
        (
            "imports: no values on thresholds are compared",
            "np.concatenate([below, thresholds, above, ",
            "np.concatenate([",
            f"{_KNOWN}::test_samples_lie_around_thresholds",
        ),
        ("imports: the user's samples are not compared", "if X is not None:", "if X is None:", _KNOWN),
    ),
    *of_file(
        "quantizers/_leaves.py",
        (
            "leaves: rounded down",
            "value=np.rint(values",
            "value=np.floor(values",
            "quantizers/test_leaves.py::test_sums_fit_the_bits_and_errors_the_bound",
        ),
        (
            "leaves: one scale for all outputs",
            "np.full_like(largest, largest.max()) if ensemble.link.is_classifier else largest",
            "np.full_like(largest, largest.max())",
            "estimators/test_precision.py::test_each_output_has_a_scale_of_its_own",
        ),
        (
            "leaves: a scale for each class",
            "np.full_like(largest, largest.max()) if ensemble.link.is_classifier else largest",
            "largest",
            "quantizers/test_leaves.py::test_classes_share_a_scale",
        ),
        (
            "leaves: midranges are lost",
            "base_score=ensemble.base_score + ensemble.sum_by_column(rounded)",
            "base_score=ensemble.base_score",
            "quantizers/test_leaves.py::test_precision_goes_with_the_range_and_not_with_the_magnitude",
        ),
        (
            "leaves: one bit too many",
            "exponents[positive] = score_bits - 1 - ",
            "exponents[positive] = score_bits + 1 - ",
            "quantizers/test_leaves.py::test_sums_fit_the_bits_and_errors_the_bound",
        ),
    ),
    *of_file(
        "quantizers/linear.py",
        (
            "weights: rounded towards zero",
            "(weights / scales[:, None]).round()",
            "(weights / scales[:, None]).trunc()",
            "quantizers/test_linear.py::test_weights_are_within_half_a_step_of_their_row",
        ),
        ("weights: one scale", "if self.per_channel else", "if not self.per_channel else", "quantizers/test_linear.py"),
    ),
]
