"""Encrypted activations times clear weights, at the speed of clear matrix multiplication (module-LWE)."""

from .noise import NoiseModel, WeightNorms
from .parameters import PARAMETER_SETS, LWEParameters, select_parameters

__all__ = ["PARAMETER_SETS", "LWEParameters", "NoiseModel", "WeightNorms", "select_parameters"]
