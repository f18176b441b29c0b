"""Tree ensembles as plain arrays: structure, import, reference evaluation, link functions."""

from ._boosters import as_estimator
from ._column_names import column_names
from ._columns import as_numbers, category_columns, naming_columns
from ._contributions import contribution_ensemble
from ._encoding import RowEncoding
from ._ensemble import LEAF, MISSING, TreeEnsemble
from ._evaluate import decision_leaves, evaluate, scores_from_sums, sum_leaves
from ._importers import absent_value, ensemble_from_model, knows_categories, numbers_as_read, rows_for
from ._margins import replaced_by_margins, with_margins
from ._rows import checked_rows
from .links import Link

__all__ = [
    "LEAF",
    "MISSING",
    "Link",
    "RowEncoding",
    "TreeEnsemble",
    "absent_value",
    "as_estimator",
    "as_numbers",
    "category_columns",
    "checked_rows",
    "column_names",
    "contribution_ensemble",
    "decision_leaves",
    "ensemble_from_model",
    "evaluate",
    "knows_categories",
    "naming_columns",
    "numbers_as_read",
    "replaced_by_margins",
    "rows_for",
    "scores_from_sums",
    "sum_leaves",
    "with_margins",
]
