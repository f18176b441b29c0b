"""Encrypted activations times clear weights, at the speed of clear matrix multiplication (module-LWE)."""

from ._backend import LWEBackend, resolve_linear_backend
from .noise import NoiseModel, WeightNorms
from .parameters import PARAMETER_SETS, LWEParameters, select_parameters

__all__ = [
    "PARAMETER_SETS",
    "LWEBackend",
    "LWEParameters",
    "NoiseModel",
    "WeightNorms",
    "resolve_linear_backend",
    "select_parameters",
]
