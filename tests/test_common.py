"""scikit-learn's own estimator checks: over every class in the clear, and again with encrypted predictions."""

import xgboost
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.fixes import parse_version

from fhe_estimators import estimators as module
from tests.estimators.executing import EXECUTING

ALIASES = ("FHERandomForest", "FHEGradientBoosting")
#: An estimator's view of another one, which is not trained.
NOT_TRAINED = {"FHEContributions"}
NAMES = [name for name in module.__all__ if name.startswith("FHE") and name not in {*ALIASES, *NOT_TRAINED}]

_WEIGHTED_BOOTSTRAP = "a bootstrap sample depends on the number of rows (scikit-learn's own forests fail as well)"
_WEIGHTED_SUBSAMPLE = "max_samples depends on the number of rows (scikit-learn's IsolationForest fails as well)"
_FLOAT32_SUMS = "XGBoost 2 rounds sums of weights: probabilities differ by some 1e-7"
_KEYS_ARE_KEPT = "the first encrypted prediction makes keys, and they are kept for the next ones"

#: Checks that cannot pass, by class, with the reason.
EXPECTED_FAILURES = {
    name: {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}
    for name, reason in (
        ("FHERandomForestClassifier", _WEIGHTED_BOOTSTRAP),
        ("FHERandomForestRegressor", _WEIGHTED_BOOTSTRAP),
        ("FHEIsolationForest", _WEIGHTED_SUBSAMPLE),
    )
}

#: Small models: the checks fit and predict some hundred times.
SMALL = {
    "FHEClassifier": {"estimator": DecisionTreeClassifier(max_depth=2)},
    "FHERegressor": {"estimator": DecisionTreeRegressor(max_depth=2)},
    "FHEDecisionTreeClassifier": {"max_depth": 2},
    "FHEDecisionTreeRegressor": {"max_depth": 2},
    "FHERandomForestClassifier": {"max_depth": 3, "n_estimators": 5},  # scikit-learn asks for some accuracy
    "FHEIsolationForest": {"n_estimators": 2, "max_samples": 4},
}
#: One of each kind: what classes of a kind share need not be encrypted twice.
ENCRYPTED = (
    "FHEClassifier",
    "FHERandomForestRegressor",
    "FHEGradientBoostingClassifier",
    "FHEIsolationForest",
)


if parse_version(xgboost.__version__) < parse_version("3"):
    EXPECTED_FAILURES["FHEGradientBoostingClassifier"] = {
        f"check_sample_weight_equivalence_on_{kind}_data": _FLOAT32_SUMS for kind in ("dense", "sparse")
    }


def expected_failures(estimator):
    return EXPECTED_FAILURES.get(type(estimator).__name__, {})


def expected_failures_of_execution(estimator):
    name = type(estimator).__name__.removeprefix("Executing")
    return {**EXPECTED_FAILURES.get(name, {}), "check_dict_unchanged": _KEYS_ARE_KEPT}


def executing(name, backend):
    return EXECUTING[name](backend=backend, **SMALL.get(name, {"n_estimators": 3, "max_depth": 2}))


@parametrize_with_checks([getattr(module, name)() for name in NAMES], expected_failed_checks=expected_failures)
def test_estimator_checks(estimator, check):
    check(estimator)


@parametrize_with_checks(
    [executing(name, "clear") for name in NAMES] + [executing(name, "auto") for name in ENCRYPTED],
    expected_failed_checks=expected_failures_of_execution,
)
def test_estimator_checks_of_encrypted_predictions(estimator, check):
    check(estimator)


def test_aliases():
    assert module.FHERandomForest is module.FHERandomForestClassifier
    assert module.FHEGradientBoosting is module.FHEGradientBoostingClassifier
