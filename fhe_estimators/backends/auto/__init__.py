"""Two engines in one program: leaves in slots for few rows, rows in slots for many."""

from ._backend import AutoBackend

__all__ = ["AutoBackend"]
