"""Estimators that train in the clear and predict on encrypted rows."""

from ._base import BaseFHEEstimator
from ._boosting import FHEGradientBoostingClassifier, FHEGradientBoostingRegressor
from ._classifiers import FHEDecisionTreeClassifier, FHEExtraTreesClassifier, FHERandomForestClassifier
from ._contributions import FHEContributions
from ._meta import FHEClassifier, FHERegressor
from ._outliers import FHEIsolationForest
from ._regressors import FHEDecisionTreeRegressor, FHEExtraTreesRegressor, FHERandomForestRegressor

#: Short names of the two most used classifiers.
FHERandomForest = FHERandomForestClassifier
FHEGradientBoosting = FHEGradientBoostingClassifier

__all__ = [
    "BaseFHEEstimator",
    "FHEClassifier",
    "FHEContributions",
    "FHEDecisionTreeClassifier",
    "FHEDecisionTreeRegressor",
    "FHEExtraTreesClassifier",
    "FHEExtraTreesRegressor",
    "FHEGradientBoosting",
    "FHEGradientBoostingClassifier",
    "FHEGradientBoostingRegressor",
    "FHEIsolationForest",
    "FHERandomForest",
    "FHERandomForestClassifier",
    "FHERandomForestRegressor",
    "FHERegressor",
]
