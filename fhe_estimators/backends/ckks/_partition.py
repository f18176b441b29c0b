"""A circuit in independent parts, for processes."""

from __future__ import annotations

from dataclasses import replace

from ._circuit import Affine, Product, products_of
from ._schedule import Schedule


def split_plan(plan: Schedule, n_parts: int) -> list[Schedule]:
    """Plans whose outputs add up to the plan's, with about equally many products and none in common.

    Fewer than ``n_parts`` where there is nothing to split.
    """
    components = [(score, part) for score, output in enumerate(plan.outputs) for part in _components(output)]
    components.sort(key=lambda component: -component[1][1])
    n_parts = max(1, min(n_parts, len(components)))
    if n_parts == 1:
        return [plan]
    outputs = [[Affine() for _ in plan.outputs] for _ in range(n_parts)]
    load = [0] * n_parts
    for score, (products, weight) in components:
        lightest = load.index(min(load))
        load[lightest] += weight
        outputs[lightest][score].products.update(products)
    for score, output in enumerate(plan.outputs):
        # The linear form goes where there are products: a constant alone is no ciphertext.
        home = next((part for part in outputs if part[score].products), outputs[0])
        home[score].linear = dict(output.linear)
    return [replace(plan, outputs=part, products=products_of(part)) for part in outputs]


def _components(output: Affine) -> list[tuple[dict[Product, int], int]]:
    """Products of a score, with their coefficients, in groups that share nothing; and the size of each group."""
    groups: list[tuple[set[Product], dict[Product, int]]] = []
    for product, coefficient in output.products.items():
        below, members = set(products_of([Affine({}, {product: 1})])), {product: coefficient}
        apart = []
        for other_below, other_members in groups:
            if below & other_below:
                below |= other_below
                members |= other_members
            else:
                apart.append((other_below, other_members))
        groups = [*apart, (below, members)]
    return [(members, len(below)) for below, members in groups]
