"""Helpers without knowledge of trees or encryption."""

from ._optional import import_optional, optional_module
from ._progress import progress_bar

__all__ = ["import_optional", "optional_module", "progress_bar"]
