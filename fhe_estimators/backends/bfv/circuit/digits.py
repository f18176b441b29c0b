"""Leaf values as digits whose sums fit the plain modulus."""

from __future__ import annotations

import numpy as np

from ....ensembles import TreeEnsemble
from ....exceptions import ParameterSelectionError


def trees_of_a_score(ensemble: TreeEnsemble) -> int:
    """Trees that add to a score column, at most: those of one class, if each class has trees of its own."""
    columns = ensemble.tree_columns[:, None] + np.arange(ensemble.width)
    return int(np.bincount(columns.ravel(), minlength=1).max())


def digit_bits_for(n_trees: int, plain_modulus: int) -> int:
    """Bits of a balanced digit for which the sum over trees stays below half of the plain modulus."""
    bits = (plain_modulus // (2 * n_trees)).bit_length()
    if bits < 1:
        raise ParameterSelectionError(
            f"The bfv backend sums leaves modulo {plain_modulus}, which is too small for {n_trees} trees."
        )
    return bits


def leaf_values(ensemble: TreeEnsemble, node: np.ndarray) -> np.ndarray:
    """Integer values of leaves in every score column, shape (n_scores, n_leaves)."""
    tree = np.searchsorted(ensemble.tree_offsets, node, side="right") - 1
    values = np.zeros((ensemble.n_scores, len(node)), dtype=np.int64)
    for offset in range(ensemble.width):
        values[ensemble.tree_columns[tree] + offset, np.arange(len(node))] = ensemble.value[node, offset]
    return values


def leaf_digits(ensemble: TreeEnsemble, node: np.ndarray, digit_bits: int) -> np.ndarray:
    """Balanced digits of the leaves' values in every score column.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    node : ndarray of shape (n_leaves,)
        Leaves.
    digit_bits : int
        The number of bits of each digit.

    Returns
    -------
    digits : ndarray of shape (n_scores, n_digits, n_leaves), int64
        Digits from ``-2 ** (digit_bits - 1)`` to ``2 ** (digit_bits - 1) - 1``, the least significant first.
    """
    values = leaf_values(ensemble, node)
    half = 1 << (digit_bits - 1)
    digits: list[np.ndarray] = []
    while values.any() or not digits:
        digit = (values + half) % (2 * half) - half
        digits.append(digit)
        values = (values - digit) >> digit_bits
    return np.stack(digits, axis=1)


def joined_digits(sums: np.ndarray, digit_bits: int) -> np.ndarray:
    """Sums of leaves from sums of digits, shape (..., n_digits)."""
    return (sums << (digit_bits * np.arange(sums.shape[-1]))).sum(axis=-1)
