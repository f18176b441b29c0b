"""Helpers without knowledge of trees or encryption."""

from ._deprecation import deprecated, renamed_parameter
from ._modes import FHE_MODES, check_fhe_mode
from ._optional import import_optional, optional_module
from ._progress import progress_bar
from ._sklearn import get_tags, validate_data

__all__ = [
    "FHE_MODES",
    "check_fhe_mode",
    "deprecated",
    "get_tags",
    "import_optional",
    "optional_module",
    "progress_bar",
    "renamed_parameter",
    "validate_data",
]
