"""Engine with leaves in slots on SEAL (BFV): few rows, deep trees, hidden thresholds."""

from ._backend import BFVBackend

__all__ = ["BFVBackend"]
