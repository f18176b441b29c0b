"""Features and leaf values to integers."""

from ._base import DataQuantizer, FeatureQuantizer
from ._leaves import (
    TARGET_SCORE_ERROR,
    WORST_SCORE_ERROR,
    quantize_leaves,
    relative_score_error,
    score_bits_for,
    score_error_bound,
)
from ._quantile import QuantileQuantizer
from ._registry import QUANTIZERS, resolve_quantizer
from ._threshold import ThresholdQuantizer
from ._uniform import UniformQuantizer

__all__ = [
    "QUANTIZERS",
    "TARGET_SCORE_ERROR",
    "WORST_SCORE_ERROR",
    "DataQuantizer",
    "FeatureQuantizer",
    "QuantileQuantizer",
    "ThresholdQuantizer",
    "UniformQuantizer",
    "quantize_leaves",
    "relative_score_error",
    "resolve_quantizer",
    "score_bits_for",
    "score_error_bound",
]
