"""The matrix of the costs as diagonals in slots, for the baby-step giant-step method.

With the bits of a sample in positions, row ``i`` of the product is a sum over diagonals ``d`` of ``M[i, i + d] * x[i
+ d]``: plain vectors times rotations of the bits (S. Halevi and V. Shoup, "Algorithms in HElib", CRYPTO 2014, section
4.3). A diagonal ``d = share * n_diagonals + giant * baby_steps + baby`` is computed by the lanes of its share, whose
bits come shifted by the first term, from the bits rotated by the last, and the sum over ``baby`` is rotated by the
second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .boxes import LeafCosts
from .layout import Layout


@dataclass(frozen=True)
class BlockDiagonals:
    """Entries of the diagonals of one block of leaves.

    Parameters
    ----------
    diagonal : ndarray of shape (n_entries,), int64
        ``giant * baby_steps + baby``, sorted.
    slot : ndarray of shape (n_entries,), int64
        The slot of the entry before the giant rotation.
    value : ndarray of shape (n_entries,), int64
        Coefficients of the costs.
    constant : ndarray of shape (degree,), int64
        Constants of the costs, at the leaves' slots.
    """

    diagonal: np.ndarray
    slot: np.ndarray
    value: np.ndarray
    constant: np.ndarray

    def plain(self, number: int, degree: int, modulus: int) -> np.ndarray | None:
        """A diagonal as slots modulo the plain modulus; None if all its entries are 0."""
        first, last = np.searchsorted(self.diagonal, [number, number + 1])
        if first == last:
            return None
        slots = np.zeros(degree, dtype=np.int64)
        np.add.at(slots, self.slot[first:last], self.value[first:last])
        return slots % modulus


def block_diagonals(costs: LeafCosts, layout: Layout, block: int, baby_steps: int) -> BlockDiagonals:
    """Diagonals of the leaves ``block * capacity`` and following.

    Parameters
    ----------
    costs : LeafCosts
        The costs of the ensemble's leaves.
    layout : Layout
        The layout of the batch.
    block : int
        Number of the block.
    baby_steps : int
        Rotations of the bits by 0, 1, ... positions that are at hand.

    Returns
    -------
    diagonals : BlockDiagonals
        The same for every sample of the batch.
    """
    capacity = layout.n_out * layout.n_segments
    inside = (costs.leaf // capacity) == block
    segment, row = np.divmod(costs.leaf[inside] % capacity, layout.n_out)
    distance = (costs.bit[inside] - row) % layout.n_in
    # A matrix wider than high: a row's entries lie in several stretches of positions, summed up later.
    stretch, diagonal = np.divmod(distance, layout.n_out)
    position = row + stretch * layout.n_out
    share, local = np.divmod(diagonal, layout.n_diagonals)
    giant = local // baby_steps
    position = (position + giant * baby_steps) % layout.n_in
    samples = np.arange(layout.n_samples)
    slots = layout.slot(position[:, None], layout.lane(samples, segment[:, None], share[:, None]))
    order = np.argsort(local, kind="stable")
    return BlockDiagonals(
        np.repeat(local[order], layout.n_samples),
        slots[order].ravel(),
        np.repeat(costs.coefficient[inside][order], layout.n_samples),
        leaf_slots(layout, costs.constant, block),
    )


def leaf_slots(layout: Layout, of_leaves: np.ndarray, block: int) -> np.ndarray:
    """What belongs to leaves, at the slots of a block's leaves for every sample; 0 elsewhere."""
    capacity = layout.n_out * layout.n_segments
    values = of_leaves[block * capacity : (block + 1) * capacity]
    segment, row = np.divmod(np.arange(len(values)), layout.n_out)
    slots = np.zeros(layout.degree, dtype=np.int64)
    for sample in range(layout.n_samples):
        slots[layout.slot(row, layout.lane(sample, segment, 0))] = values
    return slots
