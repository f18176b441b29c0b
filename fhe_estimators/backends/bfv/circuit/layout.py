"""Where bits, leaves and samples lie in the slots.

The N slots of BFV are two halves of N/2. A half holds ``n_in`` positions times ``lanes``, with slot ``position *
lanes + lane``, so that a rotation by a multiple of the number of lanes is a clean cyclic shift of the positions. The
lanes of both halves hold copies of a sample's bits; a lane belongs to

- a *sample* of the request,
- a *segment* of the leaves (``n_in`` at most), and
- a *share* of the diagonals of the matrix, for which its copy of the bits comes shifted from the client.

The lane's number has the share in its lowest bits, then the segment, then the sample; the highest bit is the half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Layout:
    """Slots of one batch of samples.

    Parameters
    ----------
    degree : int
        Ring degree N.
    n_in : int
        Positions, a power of two of at least the number of bits; at most N/2.
    n_out : int
        Leaves of a segment, a power of two; ``n_in`` if there are as many.
    n_samples, n_segments, n_shares : int
        Powers of two whose product is the number of lanes, ``N / n_in``.
    """

    degree: int
    n_in: int
    n_out: int
    n_samples: int
    n_segments: int
    n_shares: int

    @property
    def lanes_per_half(self) -> int:
        """Slots from one position to the next."""
        return self.degree // 2 // self.n_in

    @property
    def n_lanes(self) -> int:
        """Copies of the bits in both halves."""
        return self.degree // self.n_in

    @property
    def n_diagonals(self) -> int:
        """Diagonals that each share computes."""
        return max(1, self.n_out // self.n_shares)

    @property
    def share_folds(self) -> list[int]:
        """Distances of lanes by which a ciphertext is rotated and added to itself, to sum up the shares."""
        return [1 << k for k in range(self.n_shares.bit_length() - 1)]

    @property
    def stretch_folds(self) -> list[int]:
        """Distances of positions, to sum up the stretches of a matrix that is wider than high."""
        return [self.n_out << k for k in range((self.n_in // self.n_out).bit_length() - 1)]

    @property
    def result_folds(self) -> list[int]:
        """Distances of positions, to sum up all positions of each lane: then all have the same sum."""
        return [1 << k for k in range(self.n_in.bit_length() - 1)]

    @property
    def n_folds(self) -> int:
        """Sums of a ciphertext and its rotation."""
        return len(self.share_folds) + len(self.stretch_folds)

    def rotation_element(self, positions: int) -> int:
        """Galois element of a rotation by positions."""
        return pow(3, positions * self.lanes_per_half, 2 * self.degree)

    def lane_element(self, lanes: int) -> int:
        """Galois element of a rotation by lanes; the highest one swaps the halves."""
        return 2 * self.degree - 1 if lanes == self.lanes_per_half else pow(3, lanes, 2 * self.degree)

    def galois_elements(self, baby_steps: int) -> list[int]:
        """Automorphisms of the evaluation."""
        rotations = {1, baby_steps % self.n_in, *self.stretch_folds, *self.result_folds} - {0}
        elements = {self.rotation_element(positions) for positions in rotations}
        return sorted(elements | {self.lane_element(lanes) for lanes in self.share_folds})

    def lane(self, sample: np.ndarray | int, segment: np.ndarray | int, share: np.ndarray | int) -> np.ndarray:
        """Number of a lane."""
        return np.asarray((np.asarray(sample) * self.n_segments + segment) * self.n_shares + share)

    def slot(self, position: np.ndarray, lane: np.ndarray) -> np.ndarray:
        """Slot of a position in a lane."""
        half, within = np.divmod(lane, self.lanes_per_half)
        return half * (self.degree // 2) + position * self.lanes_per_half + within

    def shift(self, share: np.ndarray | int) -> np.ndarray:
        """By how many positions the bits of a share's lanes come shifted."""
        return np.asarray(share) * self.n_diagonals % self.n_in

    def spread(self, bits: np.ndarray) -> np.ndarray:
        """Slots of the bits of samples. They are repeated until all places are taken: the client knows them all.

        Parameters
        ----------
        bits : ndarray of shape (n_samples, n_bits), bool
            The bits of 1 to ``n_samples`` samples.

        Returns
        -------
        slots : ndarray of shape (degree,), int64
            0 where nothing lies.
        """
        padded = np.zeros((self.n_samples, self.n_in), dtype=np.int64)
        padded[:, : bits.shape[1]] = np.resize(bits, (self.n_samples, bits.shape[1]))
        lanes = np.arange(self.n_lanes)
        sample, share = lanes // (self.n_segments * self.n_shares), lanes % self.n_shares
        positions = np.arange(self.n_in)
        columns = (positions[:, None] + self.shift(share)) % self.n_in
        slots = np.empty(self.degree, dtype=np.int64)
        slots[self.slot(positions[:, None], lanes)] = padded[sample, columns]
        return slots

    @property
    def n_inputs(self) -> int:
        """Ciphertexts of the request a batch."""
        return 1

    def inputs(self, bits: np.ndarray) -> list[np.ndarray]:
        """Slots of each ciphertext of a batch; see `spread`."""
        return [self.spread(bits)]

    def repeat_lanes(self, of_lanes: np.ndarray) -> np.ndarray:
        """Slots whose positions all have the same value in a lane, from values of shape (n_lanes,)."""
        return np.broadcast_to(of_lanes.reshape(2, 1, -1), (2, self.n_in, self.lanes_per_half)).ravel()

    def sum_by_sample(self, of_lanes: np.ndarray, modulus: int) -> np.ndarray:
        """Sums over the lanes of each sample, modulo the plain modulus, shape (n_samples,)."""
        sums: np.ndarray = of_lanes.reshape(self.n_samples, -1).sum(axis=1) % modulus
        return sums


def layout_for(degree: int, n_bits: int, n_leaves: int, n_rows: int) -> Layout:
    """The layout of a batch with the fewest operations.

    Parameters
    ----------
    degree : int
        Ring degree N.
    n_bits, n_leaves : int
        The program's numbers; leaves that do not fit go into further blocks of the same layout.
    n_rows : int
        Samples of the request; the layout holds as many of them as it can.

    Returns
    -------
    layout : Layout
        The layout, which holds at least one sample.
    """
    n_in = power_of_two(max(n_bits, 2))
    n_lanes = degree // n_in
    if n_lanes < 2:
        raise ValueError(f"{n_bits} bits do not fit half of {degree} slots.")
    n_out = min(n_in, power_of_two(n_leaves))
    n_segments = min(n_lanes, power_of_two(-(-n_leaves // n_in)))
    n_samples = min(n_lanes // n_segments, power_of_two(n_rows))
    n_shares = n_lanes // (n_segments * n_samples)
    return Layout(degree, n_in, n_out, n_samples, n_segments, n_shares)


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below a number."""
    return 1 << max(0, number - 1).bit_length()
