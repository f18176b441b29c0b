"""Contributions of features to a score, as an ensemble whose leaves hold one value for each feature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..exceptions import UnsupportedModelError
from ._ensemble import TreeEnsemble
from .links import AverageLink, AverageProbabilityLink, AverageRemainderLink, IdentityLink, Link


def expected_values(ensemble: TreeEnsemble) -> np.ndarray:
    """Mean leaf value below each node, weighted by the training samples that reached the leaves.

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats, with covers.

    Returns
    -------
    means : ndarray of shape (n_nodes, width), float64
        A leaf's is its value. Children that no sample reached count alike.

    Raises
    ------
    UnsupportedModelError
        If the source model does not tell how many samples reached its nodes.
    """
    if ensemble.cover is None:
        raise UnsupportedModelError(
            "The model does not tell how many training samples reached its nodes, which contributions are weighted by."
        )
    means, heights, cover = ensemble.value.astype(np.float64), ensemble.node_heights(), ensemble.cover
    for height in range(1, int(heights.max(initial=0)) + 1):
        nodes = np.flatnonzero(heights == height)
        left, right = ensemble.left[nodes], ensemble.right[nodes]
        total = cover[left] + cover[right]
        share = np.divide(cover[left], total, out=np.full(len(nodes), 0.5), where=total > 0)[:, None]
        means[nodes] = share * means[left] + (1 - share) * means[right]
    return means


def contribution_ensemble(ensemble: TreeEnsemble) -> TreeEnsemble:
    """The ensemble that gives, for a row, what each feature contributes to each score.

    On the way from a root to a leaf a node's expected value changes with every comparison. The change is credited to
    the feature that is compared, and the value of the root to none (A. Palczewska and others, "Interpreting Random
    Forest Classification Models Using a Feature Contribution Method", 2013, section 3; XGBoost's ``approx_contribs``).

    Parameters
    ----------
    ensemble : TreeEnsemble
        In floats, with covers.

    Returns
    -------
    contributions : TreeEnsemble
        The same trees with ``n_features + 1`` scores for each score of the ensemble: those of the features, and last
        what is credited to none, which is the same for every row.

    Raises
    ------
    UnsupportedModelError
        If the source model does not tell how many samples reached its nodes.
    """
    means = expected_values(ensemble)
    column_of = np.arange(ensemble.n_features)
    if ensemble.encoding is not None:  # sets of categories count for the column that they are of
        column_of[ensemble.n_columns :] = [one.column for one in ensemble.encoding.sets]
    n_columns = ensemble.n_columns + 1
    credit = np.zeros((ensemble.n_nodes, ensemble.width, n_columns))
    roots = ensemble.tree_offsets[:-1]
    level = roots
    while len(nodes := level[~ensemble.is_leaf[level]]):
        children = ensemble.left[nodes], ensemble.right[nodes]
        for child in children:
            credit[child] = credit[nodes]
            credit[child, :, column_of[ensemble.feature[nodes]]] += means[child] - means[nodes]
        level = np.concatenate(children)
    credit[~ensemble.is_leaf] = 0.0
    base = np.zeros((ensemble.n_scores, n_columns))
    base[:, -1] = ensemble.base_score + ensemble.sum_by_column(means[roots])
    return replace(
        ensemble,
        n_scores=ensemble.n_scores * n_columns,
        tree_columns=(ensemble.tree_columns * n_columns).astype(np.int32),
        value=credit.reshape(ensemble.n_nodes, -1),
        base_score=base.ravel(),
        link=_link(ensemble.link),
        score_scale=np.ones(ensemble.n_scores * n_columns),
        cover=None,
    )


def _link(link: Link) -> Link:
    if isinstance(link, (AverageLink, AverageProbabilityLink, AverageRemainderLink)):
        return AverageLink(n_trees=link.n_trees)
    return IdentityLink()
