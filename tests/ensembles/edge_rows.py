"""Rows on which importers are easily wrong."""

import numpy as np

#: Values at the borders of the float types.
SPECIAL = np.array(
    [
        0.0,
        -0.0,
        np.finfo(np.float64).tiny,
        5e-324,
        -5e-324,
        np.finfo(np.float32).tiny,
        1.4e-45,
        1e-35,
        -1e-35,
        1 + 2**-23,
        1 + 2**-24,
        1 - 2**-25,
        16777217.0,
        3.4028234e38,
        -3.4028234e38,
    ]
)
#: Beyond float32, for sources that accept it.
HUGE = np.array([3.5e38, -3.5e38, 1e300, np.inf, -np.inf])


def edge_rows(ensemble, X, *, nan, huge):
    """Rows of ``X`` with values replaced by thresholds, their float neighbours and special values.

    Parameters
    ----------
    ensemble : TreeEnsemble
    X : ndarray of shape (n_samples, n_features)
    nan, huge : bool
        Whether to include missing values and values that float32 does not hold.
    """
    rng = np.random.default_rng(0)
    inner = ~ensemble.is_leaf
    rows = np.repeat(X, 4, axis=0).astype(np.float64)
    choices = [SPECIAL] + ([HUGE] if huge else []) + ([np.array([np.nan])] if nan else [])
    special = np.concatenate(choices)
    for j in range(X.shape[1]):
        thresholds = np.unique(ensemble.threshold[inner & (ensemble.feature == j)])
        thresholds = thresholds[np.isfinite(thresholds)]
        near = [np.nextafter(thresholds, direction) for direction in (-np.inf, np.inf)]
        with np.errstate(over="ignore"):
            as_float32 = thresholds.astype(np.float32)
            near32 = [np.nextafter(as_float32, np.float32(direction)) for direction in (-np.inf, np.inf)]
        near32 = [values.astype(np.float64) for values in near32]
        pool = np.concatenate([thresholds, *near, as_float32.astype(np.float64), *near32])
        if not huge:
            pool = pool[np.abs(pool) <= np.finfo(np.float32).max]
        chosen = rng.random(len(rows))
        if len(pool):
            rows[chosen < 0.5, j] = rng.choice(pool, size=(chosen < 0.5).sum())
        rows[chosen > 0.85, j] = rng.choice(special, size=(chosen > 0.85).sum())
    return rows
