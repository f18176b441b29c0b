"""Trees by programmable bootstrapping (TFHE), on concrete-python."""

from ._backend import TFHEBackend

__all__ = ["TFHEBackend"]
