"""The tree model at the end of a fitted pipeline or search, and what comes before it."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted

from ..exceptions import UnsupportedModelError

#: Meta-estimators of scikit-learn whose predictions are no sum over trees, with what can be done.
_REFUSED = {
    "CalibratedClassifierCV": "maps scores through calibrators: calibrate the encrypted estimator instead, with "
    "CalibratedClassifierCV(FHEClassifier(...)), whose calibrators run on the client",
    "StackingClassifier": "feeds predictions of models to another model",
    "StackingRegressor": "feeds predictions of models to another model",
    "VotingClassifier": "mixes predictions of models: import each and combine what the client decrypts",
    "VotingRegressor": "mixes predictions of models: import each and combine what the client decrypts",
    "FixedThresholdClassifier": "moves the threshold of a model: import its estimator_ and move the threshold of "
    "predict_proba on the client",
    "TunedThresholdClassifierCV": "moves the threshold of a model: import its estimator_ and move the threshold of "
    "predict_proba on the client",
    "TransformedTargetRegressor": "transforms the targets of a model: import its regressor_ and transform back what "
    "the client decrypts",
    "OneVsRestClassifier": "holds a model a class: import each of its estimators_",
    "OneVsOneClassifier": "holds a model for each pair of classes: import each of its estimators_",
    "OutputCodeClassifier": "holds a model a bit of a code of classes: import each of its estimators_",
    "MultiOutputClassifier": "holds a model an output: import each of its estimators_",
    "MultiOutputRegressor": "holds a model an output: import each of its estimators_",
    "ClassifierChain": "feeds predictions of models to other models",
    "RegressorChain": "feeds predictions of models to other models",
    "AdaBoostRegressor": "predicts the weighted median of its trees, which is no sum over trees: use a boosted, "
    "bagged or random forest regressor",
}


def final_model(model: Any) -> tuple[Any, Any]:
    """The model that predicts in the end, and the preprocessing of its rows.

    Parameters
    ----------
    model : estimator
        A fitted model, or a fitted pipeline or search that ends in one.

    Returns
    -------
    model : estimator
        The last step of pipelines, the best estimator of searches.
    preprocessing : transformer or None
        All steps before it.

    Raises
    ------
    UnsupportedModelError
        If the model is one whose predictions are no sum over trees.
    """
    steps: list[Any] = []
    while True:
        if hasattr(model, "best_estimator_"):
            model = model.best_estimator_
        elif hasattr(model, "cv_results_") or _is_search(model):
            check_is_fitted(model)
            raise ValueError(f"This {type(model).__name__} kept no best_estimator_: search with refit=True.")
        elif isinstance(model, Pipeline):
            check_is_fitted(model)
            if len(model) > 1:
                steps.append(model[:-1])
            model = model[-1]
            if model is None or isinstance(model, str):
                raise UnsupportedModelError(f"The last step of the pipeline is {model!r}: it must be a tree model.")
        else:
            break
    refuse_meta_estimators(model)
    return model, None if not steps else steps[0] if len(steps) == 1 else make_pipeline(*steps)


def refuse_meta_estimators(model: Any) -> None:
    """Refuse a meta-estimator whose predictions are no sum over trees.

    Parameters
    ----------
    model : estimator
        Fitted or not.

    Raises
    ------
    UnsupportedModelError
        With the reason and a way out.
    """
    for cls in type(model).__mro__:
        if cls.__name__ in _REFUSED and cls.__module__.partition(".")[0] == "sklearn":
            raise UnsupportedModelError(f"{type(model).__name__} {_REFUSED[cls.__name__]}.")


def _is_search(model: Any) -> bool:
    return hasattr(model, "param_grid") or hasattr(model, "param_distributions")
