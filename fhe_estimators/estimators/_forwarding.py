"""Attributes of the trained float model that are reached through the estimator around it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

#: Documented attributes and methods of the source libraries that describe a fitted model, whatever trained it.
FORWARDED = frozenset(
    {
        # scikit-learn
        "estimators_",
        "estimators_features_",
        "estimators_samples_",
        "estimator_errors_",
        "estimator_weights_",
        "do_early_stopping_",
        "feature_importances_",
        "get_depth",
        "get_n_leaves",
        "init_",
        "is_categorical_",
        "max_features_",
        "max_samples_",
        "n_classes_",
        "n_estimators_",
        "n_iter_",
        "n_outputs_",
        "n_trees_per_iteration_",
        "oob_decision_function_",
        "oob_improvement_",
        "oob_prediction_",
        "oob_score_",
        "oob_scores_",
        "train_score_",
        "tree_",
        "validation_score_",
        # XGBoost
        "best_iteration",
        "best_score",
        "evals_result",
        "get_booster",
        "get_num_boosting_rounds",
        "intercept_",
        # LightGBM
        "best_iteration_",
        "best_score_",
        "booster_",
        "evals_result_",
        "feature_name_",
        "n_features_",
        "objective_",
        # CatBoost
        "feature_names_",
        "get_best_iteration",
        "get_best_score",
        "get_evals_result",
        "get_feature_importance",
        "tree_count_",
    }
)


class ForwardedAttributes:
    """Mixin: documented attributes of `estimator_` are attributes of the estimator once it is fitted."""

    if not TYPE_CHECKING:  # type checkers would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            if name in FORWARDED and "estimator_" in vars(self):
                return getattr(self.estimator_, name)
            if hasattr(type(self), name):  # a property raised NotFittedError, which is an AttributeError
                return object.__getattribute__(self, name)
            hint = ": fit the estimator first" if name in FORWARDED else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")

    def __dir__(self) -> list[str]:
        names = set(super().__dir__())
        return sorted(names | {name for name in FORWARDED if "estimator_" in vars(self) and hasattr(self, name)})
