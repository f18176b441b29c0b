"""Margins that a data owner adds to scores, row by row."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from ._boosters import BoosterEstimator
from ._ensemble import TreeEnsemble


def replaced_by_margins(model: Any, ensemble: TreeEnsemble) -> np.ndarray | None:
    """The part of each score in whose place a margin of a row comes.

    Parameters
    ----------
    model : estimator or Booster
        Fitted.
    ensemble : TreeEnsemble
        What was imported of it, in floats.

    Returns
    -------
    replaced : ndarray of shape (n_scores,), float64, or None
        The base score of XGBoost, whose ``base_margin`` stands in its place; 0 for all others, to whose scores a margin
        is added. None for models that average, whose scores are no margins.
    """
    if not ensemble.link.takes_margins:
        return None
    source = model.booster if isinstance(model, BoosterEstimator) else model
    from_xgboost = any(cls.__module__.partition(".")[0] == "xgboost" for cls in type(source).__mro__)
    return ensemble.base_score if from_xgboost else np.zeros(ensemble.n_scores)


def with_margins(scores: np.ndarray, base_margin: Any, replaced: np.ndarray | None) -> np.ndarray:
    """Scores with a margin of each row.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, n_scores)
        As the trees give them, with the model's base score.
    base_margin : array-like of shape (n_samples,) or (n_samples, n_scores), or None
        None: the scores are returned as they are.
    replaced : ndarray of shape (n_scores,) or None
        What `replaced_by_margins` returned.

    Returns
    -------
    scores : ndarray of shape (n_samples, n_scores)
        Before the link function.

    Raises
    ------
    ValueError
        If the model takes no margins, or they are not finite numbers of this shape.
    """
    if base_margin is None:
        return scores
    if replaced is None:
        raise ValueError("base_margin is for boosted trees: the scores of this model are averages, and no margins.")
    margins = check_array(base_margin, ensure_2d=False, dtype=np.float64, input_name="base_margin")
    if margins.ndim == 1 and scores.shape[1] == 1:
        margins = margins[:, None]
    if margins.shape != scores.shape:
        expected = f"({len(scores)},)" if scores.shape[1] == 1 else str(scores.shape)
        raise ValueError(
            f"base_margin has shape {np.shape(base_margin)}, and needs a margin for each row and score: {expected}."
        )
    return scores - replaced + margins
