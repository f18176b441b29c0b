"""Leaves as boxes of codes, and the linear form that counts how many sides of its box a sample misses.

A leaf is reached by exactly the samples whose code of each feature on its path lies in an interval ``lo < code <= hi``
(and by those where it is missing, if that leads there). The indicator of an interval is a difference of two thermometer
bits ``[code > t]``. So ``cost(leaf) = number of features on the path - sum of indicators`` is linear in the bits, an
integer from 0 to the number of features, and it is 0 exactly if the leaf is reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....ensembles import LEAF, MISSING, TreeEnsemble

#: ``lo`` of an interval without a lower end; a missing value has the code `MISSING`, which is above it.
_NO_LOWER = MISSING - 1
_NO_UPPER = np.iinfo(np.int32).max


@dataclass(frozen=True)
class BitTable:
    """The thermometer bits ``[code > threshold]`` that a client encrypts.

    Parameters
    ----------
    feature : ndarray of shape (n_bits,), int32
        Feature of each bit.
    threshold : ndarray of shape (n_bits,), int32
        ``MISSING`` stands for "not missing".
    """

    feature: np.ndarray
    threshold: np.ndarray

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """The bits of samples.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_features), int32
            The codes that the quantizer gives the samples.

        Returns
        -------
        bits : ndarray of shape (n_samples, n_bits), bool
            In the table's order.
        """
        return codes[:, self.feature] > self.threshold

    def __len__(self) -> int:
        return len(self.feature)


@dataclass(frozen=True)
class LeafCosts:
    """``cost = constant + sum of coefficient * bit`` of every leaf that some sample can reach.

    Parameters
    ----------
    node : ndarray of shape (n_leaves,), int64
        The leaf's node in the ensemble.
    n_features : ndarray of shape (n_leaves,), int64
        Distinct features on the path: the largest cost.
    constant : ndarray of shape (n_leaves,), int64
        Cost of a sample whose bits are all 0.
    leaf, bit, coefficient : ndarray of shape (n_terms,), int64
        Terms; each pair of a leaf and a bit stands once.
    bits : BitTable
        What the bits are.
    """

    node: np.ndarray
    n_features: np.ndarray
    constant: np.ndarray
    leaf: np.ndarray
    bit: np.ndarray
    coefficient: np.ndarray
    bits: BitTable

    @property
    def largest(self) -> int:
        """Largest cost of any leaf."""
        return int(self.n_features.max(initial=0))

    @property
    def _is_constant(self) -> np.ndarray:
        return np.bincount(self.leaf, minlength=len(self.node)) == 0

    def always_reached(self) -> np.ndarray:
        """Nodes of the leaves that every sample reaches."""
        return self.node[self._is_constant & (self.constant == 0)]

    def dependent(self) -> LeafCosts:
        """The leaves that some samples reach and others do not."""
        kept = ~self._is_constant
        number = np.cumsum(kept) - 1
        return replace(
            self,
            node=self.node[kept],
            n_features=self.n_features[kept],
            constant=self.constant[kept],
            leaf=number[self.leaf],
        )


def leaf_costs(ensemble: TreeEnsemble, hidden_code_bits: int | None) -> LeafCosts:
    """Costs of an ensemble's leaves.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    hidden_code_bits : int or None
        Bits of the codes if the client must not learn which thresholds are used: it then sends all of them.

    Returns
    -------
    costs : LeafCosts
        Over the used bits, or over all bits of all features.
    """
    node, leaf, feature, lower, upper, missing = _boxes(ensemble)
    top = np.int64(_NO_UPPER if hidden_code_bits is None else 2**hidden_code_bits - 1)
    upper = np.where(upper >= top, _NO_UPPER, upper)
    reached = _reachable(len(node), leaf, lower, upper, missing, top)
    number = np.cumsum(reached) - 1
    kept = reached[leaf]
    leaf, feature, lower, upper, missing = (array[kept] for array in (leaf, feature, lower, upper, missing))
    leaf, node = number[leaf], node[reached]
    n_features = np.bincount(leaf, minlength=len(node))
    terms = _terms(leaf, feature, lower, upper, missing)
    constant = n_features - np.bincount(leaf[missing], minlength=len(node))
    if not ensemble.allow_nan:  # then "not missing" is always true
        always = terms[2] == MISSING
        np.add.at(constant, terms[0][always], terms[3][always])
        terms = [array[~always] for array in terms]
    bits = _all_bits(ensemble, hidden_code_bits) if hidden_code_bits is not None else _used_bits(terms[1], terms[2])
    columns = _column_of(bits, terms[1], terms[2])
    return LeafCosts(node, n_features, constant, *_merged(terms[0], columns, terms[3], len(bits)), bits)


def _boxes(ensemble: TreeEnsemble) -> tuple[np.ndarray, ...]:
    """Leaves, and the interval of each feature on each leaf's path: leaf, feature, lo, hi, missing allowed."""
    parent = np.full(ensemble.n_nodes, -1, dtype=np.int64)
    inner = np.flatnonzero(~ensemble.is_leaf)
    parent[ensemble.left[inner]] = parent[ensemble.right[inner]] = inner
    node = np.flatnonzero(ensemble.feature == LEAF)
    leaf, current, parts = np.arange(len(node)), node, []
    while True:
        above = parent[current]
        on_path = above >= 0
        leaf, current, above = leaf[on_path], current[on_path], above[on_path]
        if not len(leaf):
            break
        right = ensemble.right[above] == current
        threshold = ensemble.threshold[above].astype(np.int64)
        lower, upper = np.where(right, threshold, _NO_LOWER), np.where(right, _NO_UPPER, threshold)
        parts.append((leaf, ensemble.feature[above], lower, upper, ensemble.missing_right[above] == right))
        current = above
    if not parts:
        return node, *(np.zeros(0, dtype=np.int64) for _ in range(4)), np.zeros(0, dtype=bool)
    leaf, feature, lower, upper, missing = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    order = np.lexsort((feature, leaf))
    leaf, feature, lower, upper, missing = (array[order] for array in (leaf, feature, lower, upper, missing))
    first = np.flatnonzero(np.r_[True, (leaf[1:] != leaf[:-1]) | (feature[1:] != feature[:-1])])
    lower, upper = np.maximum.reduceat(lower, first), np.minimum.reduceat(upper, first)
    return node, leaf[first], feature[first].astype(np.int64), lower, upper, np.logical_and.reduceat(missing, first)


def _reachable(
    n_leaves: int, leaf: np.ndarray, lower: np.ndarray, upper: np.ndarray, missing: np.ndarray, top: np.int64
) -> np.ndarray:
    """Leaves none of whose boxes is empty."""
    empty = (np.maximum(lower, MISSING) >= np.minimum(upper, top)) & ~missing
    return np.bincount(leaf[empty], minlength=n_leaves) == 0


def _terms(
    leaf: np.ndarray, feature: np.ndarray, lower: np.ndarray, upper: np.ndarray, missing: np.ndarray
) -> list[np.ndarray]:
    """Terms of the costs by leaf, feature and threshold: the indicators' bits with their signs turned.

    The indicator is ``[code > lo] - [code > hi]``, and where missing values are let in ``1 - [not missing]`` on top;
    without a lower end, ``[code > lo]`` is "not missing", so that the two sum up to 1.
    """
    interval = np.maximum(lower, MISSING) < upper
    has_lower, has_upper = lower > _NO_LOWER, upper < _NO_UPPER
    at_lower = np.where(has_lower, lower, MISSING)
    cancels = missing & ~has_lower & interval  # "not missing" minus "not missing"
    chosen = [interval & ~cancels, interval & has_upper, missing & (has_lower | ~interval)]
    thresholds = [at_lower, upper, np.full_like(lower, MISSING)]
    signs = [-1, 1, 1]
    return [
        np.concatenate([leaf[rows] for rows in chosen]),
        np.concatenate([feature[rows] for rows in chosen]),
        np.concatenate([t[rows] for t, rows in zip(thresholds, chosen, strict=True)]),
        np.concatenate([np.full(rows.sum(), sign) for sign, rows in zip(signs, chosen, strict=True)]),
    ]


def _all_bits(ensemble: TreeEnsemble, code_bits: int) -> BitTable:
    lowest = MISSING if ensemble.allow_nan else 0
    thresholds = np.arange(lowest, 2**code_bits - 1, dtype=np.int32)
    features = np.arange(ensemble.n_features, dtype=np.int32)
    return BitTable(np.repeat(features, len(thresholds)), np.tile(thresholds, len(features)))


def _used_bits(feature: np.ndarray, threshold: np.ndarray) -> BitTable:
    used = np.unique(np.stack([feature, threshold], axis=1), axis=0)
    return BitTable(used[:, 0].astype(np.int32), used[:, 1].astype(np.int32))


def _column_of(bits: BitTable, feature: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Position in the table, which is sorted by feature and threshold."""
    span = np.int64(2) ** 32
    keys = bits.feature.astype(np.int64) * span + bits.threshold
    return np.searchsorted(keys, feature.astype(np.int64) * span + threshold)


def _merged(
    leaf: np.ndarray, bit: np.ndarray, coefficient: np.ndarray, n_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Terms with those of the same leaf and bit added up; zeros are left out."""
    keys, position = np.unique(leaf * np.int64(max(n_bits, 1)) + bit, return_inverse=True)
    total = np.zeros(len(keys), dtype=np.int64)
    np.add.at(total, position, coefficient)
    kept = total != 0
    return keys[kept] // max(n_bits, 1), keys[kept] % max(n_bits, 1), total[kept]
