"""scikit-learn's own estimator checks over every class."""

from sklearn.utils.estimator_checks import parametrize_with_checks

from fhe_estimators import estimators as module

ALIASES = ("FHERandomForest", "FHEGradientBoosting")
CLASSES = [getattr(module, name) for name in module.__all__ if name.startswith("FHE") and name not in ALIASES]

_WEIGHTED_BOOTSTRAP = "a bootstrap sample depends on the number of rows (scikit-learn's own forests fail as well)"
_WEIGHTED_SUBSAMPLE = "max_samples depends on the number of rows (scikit-learn's IsolationForest fails as well)"

#: Checks that cannot pass, by class, with the reason.
EXPECTED_FAILURES = {
    "FHERandomForestClassifier": {"check_sample_weight_equivalence_on_dense_data": _WEIGHTED_BOOTSTRAP},
    "FHERandomForestRegressor": {"check_sample_weight_equivalence_on_dense_data": _WEIGHTED_BOOTSTRAP},
    "FHEIsolationForest": {"check_sample_weight_equivalence_on_dense_data": _WEIGHTED_SUBSAMPLE},
}


def expected_failures(estimator):
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


@parametrize_with_checks(
    [cls() for cls in CLASSES],
    expected_failed_checks=expected_failures,
)
def test_estimator_checks(estimator, check):
    check(estimator)


def test_aliases():
    assert module.FHERandomForest is module.FHERandomForestClassifier
    assert module.FHEGradientBoosting is module.FHEGradientBoostingClassifier
