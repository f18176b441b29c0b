"""How often the circuit asks for each bit, and at which level: from this it is known when a bit is needed no more."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from .levels import Schedule, factor_level
from .merged_trees import CONSTANT
from .products import Affine


class BitUse(NamedTuple):
    """A copy of a comparison's bit.

    Attributes
    ----------
    comparison : int
    level : int
    exact : bool
        Whether it must have the scale of factors there, or any scale will do.
    """

    comparison: int
    level: int
    exact: bool


def bit_uses(plan: Schedule) -> Counter[BitUse]:
    """Uses of every copy by the products of a circuit; those by its outputs, one a term, are not counted."""
    uses: Counter[BitUse] = Counter()
    made: set[tuple[Affine, int]] = set()
    for product in plan.products:
        for factor, _ in product.operands():
            if factor.products and (factor, product.level) in made:
                continue  # the evaluator keeps it
            made.add((factor, product.level))
            level = factor_level(factor, product.level)
            for comparison in factor.linear:
                if comparison != CONSTANT:
                    uses[BitUse(comparison, level, not factor.products)] += 1
    return uses


def output_uses(plan: Schedule) -> dict[int, list[tuple[int, int]]]:
    """Of each comparison, the outputs whose linear forms it is in, by index, and its coefficients there."""
    uses: dict[int, list[tuple[int, int]]] = {}
    for index, output in enumerate(plan.outputs):
        for comparison, coefficient in output.linear.items():
            if comparison != CONSTANT:
                uses.setdefault(comparison, []).append((index, coefficient))
    return uses
