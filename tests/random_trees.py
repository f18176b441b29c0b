"""Random tree ensembles for tests, built without any training library."""

import numpy as np

from fhe_estimators.ensembles import TreeEnsemble
from fhe_estimators.ensembles.links import IdentityLink


def random_ensemble(
    rng,
    *,
    n_trees=5,
    depth=3,
    n_features=4,
    n_scores=1,
    width=1,
    leaf_probability=0.2,
    allow_nan=True,
    n_thresholds=8,
    integer_thresholds=False,
):
    """Random (unbalanced) trees with float leaves; thresholds repeat, so that trees share tests.

    ``width`` columns a tree; trees cycle over the score columns. Thresholds are the floats
    ``0.5, 1.5, ...``, or with ``integer_thresholds`` the codes ``0, 1, ...`` of type int32.
    """
    feature, threshold, left, right, missing_right, value = [], [], [], [], [], []
    offsets, columns = [0], []

    def grow(level):
        node = len(feature)
        for array in (feature, threshold, left, right, missing_right, value):
            array.append(None)
        value[node] = rng.normal(size=width)
        if level == 0 or (level < depth and rng.random() < leaf_probability):
            feature[node], threshold[node], missing_right[node] = -1, 0.0, False
            left[node] = right[node] = -1
            return node
        feature[node] = int(rng.integers(n_features))
        threshold[node] = float(rng.integers(n_thresholds)) + (0 if integer_thresholds else 0.5)
        missing_right[node] = bool(rng.integers(2))
        left[node] = grow(level - 1)
        right[node] = grow(level - 1)
        return node

    for tree in range(n_trees):
        grow(depth)
        offsets.append(len(feature))
        columns.append(tree % n_scores if width == 1 else 0)
    return TreeEnsemble(
        n_features=n_features,
        n_scores=n_scores if width == 1 else width,
        tree_offsets=np.array(offsets, dtype=np.int64),
        tree_columns=np.array(columns, dtype=np.int32),
        feature=np.array(feature, dtype=np.int32),
        threshold=np.array(threshold, dtype=np.int32 if integer_thresholds else np.float64),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        missing_right=np.array(missing_right),
        value=np.array(value),
        base_score=np.zeros(n_scores if width == 1 else width),
        link=IdentityLink(),
        allow_nan=allow_nan,
    )


def random_rows(rng, n_rows, n_features=4, n_thresholds=8):
    """Rows around the thresholds of `random_ensemble`, many exactly on one, some values missing."""
    X = rng.integers(-1, 2 * n_thresholds + 2, size=(n_rows, n_features)) / 2
    X[rng.random(X.shape) < 0.1] = np.nan
    return X
