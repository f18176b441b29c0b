"""The estimators under test, and small ones of each."""

from fhe_estimators import estimators as module

#: Backends that are quick enough for every mode test.
BACKENDS = ["clear", "ckks", "auto"]
CLASSIFIERS = [getattr(module, name) for name in module.__all__ if name.endswith("Classifier")]
REGRESSORS = [getattr(module, name) for name in module.__all__ if name.endswith("Regressor")]
ESTIMATORS = [*CLASSIFIERS, *REGRESSORS, module.FHEIsolationForest]


def small(estimator_class, **params):
    """An estimator that trains and compiles fast: at most 4 trees of depth 2."""
    known = estimator_class().get_params()
    wanted = {"n_estimators": 4, "max_depth": 2, "max_samples": 8, "random_state": 0, "backend": "clear"}
    if estimator_class is not module.FHEIsolationForest:
        wanted.pop("max_samples")
    return estimator_class(**{**{k: v for k, v in wanted.items() if k in known}, **params})
