"""Helpers without knowledge of trees or encryption."""

from ._allocation import returning_large_blocks
from ._blocks import row_blocks
from ._deprecation import deprecated, renamed_parameter
from ._memory import PROCESS_BYTES, check_memory, memory_budget, memory_limit_bytes, readable_bytes, warn_of_memory
from ._modes import FHE_MODES, check_fhe_mode
from ._optional import import_optional, optional_module
from ._progress import StepProgress, progress_bar
from ._signals import keep_signal_handlers
from ._sklearn import get_tags, validate_data
from ._sparse import dense_blocks, dense_columns, dense_rows, sparse_checks, without_sparse_columns

__all__ = [
    "FHE_MODES",
    "PROCESS_BYTES",
    "StepProgress",
    "check_fhe_mode",
    "check_memory",
    "dense_blocks",
    "dense_columns",
    "dense_rows",
    "deprecated",
    "get_tags",
    "import_optional",
    "keep_signal_handlers",
    "memory_budget",
    "memory_limit_bytes",
    "optional_module",
    "progress_bar",
    "readable_bytes",
    "renamed_parameter",
    "returning_large_blocks",
    "row_blocks",
    "sparse_checks",
    "validate_data",
    "warn_of_memory",
    "without_sparse_columns",
]
