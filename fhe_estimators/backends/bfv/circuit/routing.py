"""Two linear steps in the place of one, for large ensembles: bits are routed to lanes, lanes have small matrices.

A matrix of all leaves and all bits has as many diagonals as bits, though a leaf depends on few of them. So leaves that
lie close together in a tree share a *lane*, which has a window of W places for the bits that they use. Where in its
window a bit goes is free, and that is what makes routing cheap: place ``q`` of lane ``l`` is slot ``q * L + l`` of a
half, so a rotation of the whole ciphertext by ``r`` brings the bit of slot ``c`` to the window's place ``q = (c - l -
r) / L``. Of the L first rotations exactly one does so for each bit. A few groups of L rotations leave each bit some
places to choose from; they are given out by a matching. The small matrices of all lanes take W diagonals together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from ....ensembles import TreeEnsemble
from .boxes import LeafCosts
from .layout import Layout, power_of_two

#: Part of a window's places that bits fill.
_LOAD = 0.85
_ATTEMPTS = 30
#: Places of a window to which a bit can be brought, one after another of its first; far apart, or the places near
#: where many bits fall would run out.
_SHIFTS = (0, 1, 6, 27, 83)


@dataclass(frozen=True)
class RoutedInput:
    """Slots of the ciphertexts of a sample: its bits in a public order, repeated until each half is full.

    Parameters
    ----------
    degree : int
        Ring degree N.
    n_bits : int
        Bits of a sample; half as many as slots fit a ciphertext.
    """

    degree: int
    n_bits: int

    #: Samples of a batch.
    n_samples = 1

    @property
    def period(self) -> int:
        """Slots after which a ciphertext repeats its bits, a power of two."""
        return min(self.degree // 2, power_of_two(max(2, self.n_bits)))

    @property
    def n_inputs(self) -> int:
        """Ciphertexts of a sample."""
        return -(-self.n_bits // self.period)

    def places(self) -> np.ndarray:
        """Where each bit lies: ``ciphertext * period + slot``, shape (n_bits,)."""
        number, slot = np.divmod(np.arange(self.n_bits), self.period)
        return number * self.period + _shuffled(self.period)[slot]

    def inputs(self, bits: np.ndarray) -> list[np.ndarray]:
        """Slots of each ciphertext, from the bits of one sample, shape (1, n_bits)."""
        padded = np.zeros(self.n_inputs * self.period, dtype=np.int64)
        padded[self.places()] = bits[0]
        return [np.resize(slots, self.degree) for slots in padded.reshape(self.n_inputs, -1)]


def layout_of_windows(degree: int, window: int) -> Layout:
    """Lanes with windows in the place of all bits, one lane a segment of leaves."""
    return Layout(degree, window, window, 1, degree // window, 1)


def n_routing_rotations(layout: Layout) -> int:
    """Rotations of a ciphertext of the request that bring its bits to windows."""
    return len(_SHIFTS) * layout.lanes_per_half


@dataclass(frozen=True)
class Routes:
    """An ensemble's leaves in lanes, and the ways of the bits there.

    Parameters
    ----------
    layout : Layout
        Windows in the place of all bits, one lane a segment.
    costs : LeafCosts
        Leaves at their places ``lane * window + row``, with places of the lane's window for bits.
    place_of_leaf : ndarray of shape (n_leaves,), int64
        Place of each leaf of the ensemble.
    input, rotation, block, slot : ndarray of shape (n_routes,), int64
        Slot ``slot`` of the bits of a block comes from a ciphertext of the request, rotated. Sorted.
    """

    layout: Layout
    costs: LeafCosts
    place_of_leaf: np.ndarray
    input: np.ndarray
    rotation: np.ndarray
    block: np.ndarray
    slot: np.ndarray

    @property
    def n_blocks(self) -> int:
        """Ciphertexts of bits in windows."""
        return -(-len(self.costs.constant) // self.layout.degree)

    @property
    def n_masks(self) -> int:
        """Products that route bits, for all blocks together."""
        return len(np.unique(self._keys))

    @property
    def n_rotations(self) -> int:
        """Rotations of each ciphertext of the request."""
        return n_routing_rotations(self.layout)

    def galois_elements(self, baby_steps: int) -> list[int]:
        """Automorphisms of the evaluation."""
        degree, shifts = self.layout.degree, {shift % self.layout.n_in for shift in _SHIFTS}
        elements = {
            self.layout.rotation_element(positions) for positions in (*shifts, *self.layout.result_folds, baby_steps)
        }
        return sorted((elements - {1}) | {pow(3, 1, 2 * degree)})

    @property
    def starts(self) -> list[int]:
        """Rotations, in positions, from which rotations by one slot lead on."""
        return [shift % self.layout.n_in for shift in _SHIFTS]

    def placed(self, of_leaves: np.ndarray) -> np.ndarray:
        """What belongs to leaves, at their places; 0 elsewhere."""
        values = np.zeros(len(self.costs.constant), dtype=np.int64)
        values[self.place_of_leaf] = of_leaves
        return values

    def masks(self, number: int, rotation: int) -> Iterator[tuple[int, np.ndarray]]:
        """Blocks that take bits from a rotation of an input, and slots that are 1 where they do."""
        key = (number * len(_SHIFTS) * self.layout.degree + rotation) * self.n_blocks
        first, last = np.searchsorted(self._keys, [key, key + self.n_blocks])
        for block in np.unique(self.block[first:last]):
            slots = np.zeros(self.layout.degree, dtype=np.int64)
            slots[self.slot[first:last][self.block[first:last] == block]] = 1
            yield int(block), slots

    @cached_property
    def _keys(self) -> np.ndarray:
        return (self.input * len(_SHIFTS) * self.layout.degree + self.rotation) * self.n_blocks + self.block


def route(ensemble: TreeEnsemble, costs: LeafCosts, source: RoutedInput, window: int) -> Routes | None:
    """Leaves in lanes with windows of a size, or None if a leaf depends on too many bits for them."""
    lanes_per_half = source.degree // 2 // window
    if lanes_per_half > source.period or lanes_per_half < 1:
        return None
    rank = _depth_first_ranks(ensemble, costs.node)
    order = np.argsort(rank[costs.leaf], kind="stable")
    leaf, bit = rank[costs.leaf][order], costs.bit[order]
    starts = _lane_starts(leaf, bit, len(rank), window)
    for _ in range(_ATTEMPTS):
        if starts is None:
            return None
        lane = np.searchsorted(starts, leaf, side="right") - 1
        pairs, pair_of_term = np.unique(lane * np.int64(len(costs.bits)) + bit, return_inverse=True)
        pair_lane, pair_bit = np.divmod(pairs, len(costs.bits))
        places = _Windows(source, window, pair_lane, pair_bit).assigned(len(starts))
        if not len(places.failed):
            break
        starts = _split(starts, places.failed, len(rank))
    else:
        return None
    lane_of_leaf = np.searchsorted(starts, rank, side="right") - 1
    place_of_leaf = lane_of_leaf * window + rank - starts[lane_of_leaf]
    layout = layout_of_windows(source.degree, window)
    block, within = np.divmod(pair_lane, layout.n_lanes)
    by_source = np.lexsort((block, places.rotation, places.input))
    constant = np.zeros(len(starts) * window, dtype=np.int64)
    constant[place_of_leaf] = costs.constant
    leaf_place = np.empty(len(rank), dtype=np.int64)
    leaf_place[rank] = place_of_leaf
    return Routes(
        layout,
        LeafCosts(
            costs.node, costs.n_features, constant, leaf_place[leaf], places.place[pair_of_term],
            costs.coefficient[order], costs.bits,
        ),
        place_of_leaf,
        *(array[by_source] for array in (places.input, places.rotation, block, layout.slot(places.place, within))),
    )  # fmt: skip


def _shuffled(size: int) -> np.ndarray:
    """A fixed order without patterns, the same with every version of every library; shape (size,).

    Sorted by the finalizer of G. Steele, D. Lea and C. Flood's generator (OOPSLA 2014).
    """
    words = (np.arange(1, size + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.argsort(words ^ (words >> np.uint64(31)), kind="stable")


def _depth_first_ranks(ensemble: TreeEnsemble, node: np.ndarray) -> np.ndarray:
    """Number of each leaf in the order in which a walk through the trees meets them."""
    inner, levels = np.flatnonzero(~ensemble.is_leaf), []
    has_parent = np.zeros(ensemble.n_nodes, dtype=bool)
    has_parent[ensemble.left[inner]] = has_parent[ensemble.right[inner]] = True
    roots = np.flatnonzero(~has_parent)
    current = roots
    while len(current):
        current = current[~ensemble.is_leaf[current]]
        levels.append(current)
        current = np.concatenate([ensemble.left[current], ensemble.right[current]])
    n_leaves = np.ones(ensemble.n_nodes, dtype=np.int64)
    for level in reversed(levels):
        n_leaves[level] = n_leaves[ensemble.left[level]] + n_leaves[ensemble.right[level]]
    first = np.zeros(ensemble.n_nodes, dtype=np.int64)
    first[roots] = np.cumsum(n_leaves[roots]) - n_leaves[roots]
    for level in levels:
        left, right = ensemble.left[level], ensemble.right[level]
        first[left], first[right] = first[level], first[level] + n_leaves[left]
    ranks = np.empty(len(node), dtype=np.int64)
    ranks[np.argsort(first[node], kind="stable")] = np.arange(len(node))
    return ranks


def _lane_starts(leaf: np.ndarray, bit: np.ndarray, n_leaves: int, window: int) -> np.ndarray | None:
    """First leaf of each lane, as many leaves as its window has room for them and their bits."""
    room, starts, start = int(_LOAD * window), [], 0
    first_term = np.searchsorted(leaf, np.arange(n_leaves + 1))
    while start < n_leaves:
        starts.append(start)
        end = min(start + window, n_leaves)
        terms = slice(first_term[start], first_term[end])
        _, new = np.unique(bit[terms], return_index=True)
        if len(new) > room:
            end = int(np.sort(leaf[terms][new])[room])
            if end == start:
                return None
        start = end
    return np.array(starts)


def _split(starts: np.ndarray, failed: np.ndarray, n_leaves: int) -> np.ndarray | None:
    """Lanes whose bits found no place are halved; None if one has a single leaf."""
    ends = np.append(starts[1:], n_leaves)
    middle = (starts[failed] + ends[failed]) // 2
    return None if (middle == starts[failed]).any() else np.union1d(starts, middle)


class _Windows:
    """Places in windows for pairs of a lane and a bit.

    Parameters
    ----------
    source : RoutedInput
        Where the bits come from.
    window : int
        Places of a lane.
    lane, bit : ndarray of shape (n_pairs,), int64
        The pairs.
    """

    def __init__(self, source: RoutedInput, window: int, lane: np.ndarray, bit: np.ndarray):
        self.window, self.lane = window, lane
        self.stride = source.degree // 2 // window
        self.input, slot = np.divmod(source.places()[bit], source.period)
        distance = slot - lane % self.stride
        self.first_rotation = distance % self.stride
        self.first_place = (distance - self.first_rotation) // self.stride % window
        self.repetition = source.period // self.stride
        self.n_choices = len(_SHIFTS) * max(1, window // self.repetition)
        self.choice = np.zeros(len(lane), dtype=np.int64)
        self.failed = np.zeros(0, dtype=np.int64)

    def _places(self, pairs: np.ndarray, choice: np.ndarray) -> np.ndarray:
        copy, shift = np.divmod(choice, len(_SHIFTS))
        return (self.first_place[pairs] + copy * self.repetition - np.array(_SHIFTS)[shift]) % self.window

    def assigned(self, n_lanes: int) -> _Windows:
        """Give out the places; `failed` has the lanes where that is not possible."""
        pairs, choices = np.arange(len(self.lane)), np.arange(self.n_choices)
        targets = (self.lane * self.window)[:, None] + self._places(pairs[:, None], choices)
        starts = np.arange(len(pairs) + 1) * self.n_choices
        graph = csr_array(
            (np.ones(targets.size, dtype=bool), targets.ravel().astype(np.int32), starts.astype(np.int32)),
            (len(pairs), n_lanes * self.window),
        )  # of 32-bit indices, since SciPy's matching takes no others before 1.13
        matched = maximum_bipartite_matching(graph, perm_type="column")
        self.failed = np.unique(self.lane[matched < 0])
        self.choice = (targets == matched[:, None]).argmax(axis=1)
        return self

    @property
    def place(self) -> np.ndarray:
        """Places of the pairs in their windows."""
        return self._places(np.arange(len(self.lane)), self.choice)

    @property
    def rotation(self) -> np.ndarray:
        """Rotations that bring the bits there."""
        return self.first_rotation + np.array(_SHIFTS)[self.choice % len(_SHIFTS)] % self.window * self.stride
