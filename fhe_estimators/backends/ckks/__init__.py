"""Leveled SIMD engine on SEAL (CKKS): the default."""

from ._backend import CKKSBackend

__all__ = ["CKKSBackend"]
