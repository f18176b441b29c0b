"""Integer-exact reference engine: the message flow of the others, without encryption."""

from ._backend import ClearBackend

__all__ = ["ClearBackend"]
