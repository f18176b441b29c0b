"""How many operations of each kind an evaluation takes, one after another and in all."""

from __future__ import annotations

from .boxes import LeafCosts
from .layout import Layout
from .noise import NoiseSteps
from .routing import RoutedInput, n_routing_rotations
from .zero_test import ZeroTest

#: Rotated copies of the bits that are kept in memory.
_MAX_BABY_STEPS = 128


def baby_steps_for(layout: Layout, n_blocks: int) -> int:
    """Baby steps, a power of two, with which rotations take the least time in all.

    Blocks share the baby steps, and each has giant steps of its own.
    """
    candidates = [1 << k for k in range(_MAX_BABY_STEPS.bit_length())]
    return min(candidates, key=lambda baby: baby + n_blocks * -(-layout.n_diagonals // baby))


def baby_steps_of_windows(window: int) -> int:
    """The same where every block has baby steps of its own."""
    return 1 << (window.bit_length() // 2)


def routed_steps(layout: Layout, n_blocks: int, source: RoutedInput, zero_test: ZeroTest) -> NoiseSteps:
    """What the evaluation of a sample does to the noise if its bits are routed to lanes.

    The rotations of the routed bits add to a noise that is larger by far.
    """
    return NoiseSteps(
        n_rotations=layout.lanes_per_half,
        n_plain_products=layout.n_in,
        n_stretch_folds=0,
        depth=zero_test.depth,
        n_blocks=n_blocks,
        n_routes=n_routing_rotations(layout) * source.n_inputs,
        n_result_folds=len(layout.result_folds),
    )


def circuit_steps(layout: Layout, costs: LeafCosts, zero_test: ZeroTest) -> NoiseSteps:
    """What the evaluation of one sample does to the noise; of more samples at once, no more than this."""
    n_blocks = -(-max(1, len(costs.node)) // (layout.n_out * layout.n_segments))
    baby_steps = baby_steps_for(layout, n_blocks)
    return NoiseSteps(
        n_rotations=min(baby_steps, layout.n_out),
        n_plain_products=layout.n_out,
        n_stretch_folds=len(layout.stretch_folds),
        depth=zero_test.depth,
        n_blocks=n_blocks,
        n_result_folds=len(layout.result_folds),
    )
