"""From the ``quantizer=`` parameter of an estimator to a quantizer."""

from __future__ import annotations

from sklearn.base import clone

from ._base import FeatureQuantizer
from ._quantile import QuantileQuantizer
from ._threshold import ThresholdQuantizer
from ._uniform import UniformQuantizer

QUANTIZERS: dict[str, type[FeatureQuantizer]] = {
    cls.name: cls for cls in (ThresholdQuantizer, UniformQuantizer, QuantileQuantizer)
}


def resolve_quantizer(quantizer: str | FeatureQuantizer) -> FeatureQuantizer:
    """Quantizer, not fitted, from a name or an instance.

    Parameters
    ----------
    quantizer : {"threshold", "uniform", "quantile"} or FeatureQuantizer
        An instance is cloned.

    Returns
    -------
    quantizer : FeatureQuantizer
        Not fitted.
    """
    if isinstance(quantizer, FeatureQuantizer):
        return clone(quantizer)
    if isinstance(quantizer, str) and quantizer in QUANTIZERS:
        return QUANTIZERS[quantizer]()
    raise ValueError(
        f"quantizer={quantizer!r} is unknown: use one of {sorted(QUANTIZERS)} or an instance such as "
        "UniformQuantizer(n_bits=6)."
    )
