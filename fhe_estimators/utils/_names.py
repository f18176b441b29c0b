"""Names of columns that libraries rewrite."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def under_known_names(X: Any, known: Iterable[Any] | None) -> Any:
    """A data frame under the names of a fitted model, where its own are the same but for what libraries rewrite.

    LightGBM keeps names with underscores in place of blanks. It and others keep labels that are no strings as text,
    XGBoost those of several levels with blanks between them.

    Parameters
    ----------
    X : DataFrame or any other rows
        Rows without names are returned as they are.
    known : iterable of str or None
        Names of the fitted model; None if it has none.

    Returns
    -------
    X : DataFrame or any other rows
        The same rows, under the known names if their own, rewritten, are these in the same order. Names that are not
        unique once they are rewritten are left for scikit-learn to judge, as all others are.
    """
    if known is None or not hasattr(X, "set_axis"):
        return X
    names = list(known)
    if list(X.columns) == names:
        return X
    rewritten = [_rewritten(name) for name in names]
    if len(set(rewritten)) < len(names) or [_rewritten(label) for label in X.columns] != rewritten:
        return X
    return X.set_axis(names, axis=1)


def _rewritten(label: Any) -> str:
    text = " ".join(map(str, label)) if isinstance(label, tuple) else str(label)
    return text.replace(" ", "_")
