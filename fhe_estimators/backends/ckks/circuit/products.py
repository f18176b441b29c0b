"""From merged trees to an arithmetic circuit of logarithmic depth.

A tree of height ``h`` evaluated from its leaves takes ``h - 1`` multiplications one after another. Here it takes
``ceil(log2(h))``: a tree of height ``2 T`` is cut into a top and subtrees of height at most ``T``. Going right at a
node ``n`` of the top replaces one subtree by another, so that

    value = lowest + sum over n of  R_n * D_n

where ``lowest`` is the value of the leftmost subtree, ``R_n`` the indicator "the row reaches ``n`` and goes right", a
balanced product of up to ``T`` bits, and ``D_n`` the leftmost subtree on the right of ``n`` minus the one on its left.
Indicators of rows that go left come for free: ``R (1 - b) = R - R b``. Subtrees are evaluated in the same
way, or from their leaves where that is no deeper, since it takes fewer multiplications.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .merged_trees import CONSTANT, Branch, LinearForm, Sum, add_linear

#: A path in a tree: its comparisons, and whether each came out true.
Path = tuple[tuple[int, bool], ...]


@dataclass(eq=False)
class Affine:
    """``linear form + sum(coefficient * product)``; the form carries its constant under `CONSTANT`."""

    linear: LinearForm = field(default_factory=dict)
    products: dict[Product, int] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Multiplications one after another."""
        return max((product.depth for product in self.products), default=0)

    @property
    def is_constant(self) -> bool:
        return not self.products and not set(self.linear) - {CONSTANT}

    @property
    def single_bit(self) -> int | None:
        """The comparison whose bit this is, if it is nothing else."""
        return next(iter(self.linear)) if not self.products and list(self.linear.values()) == [1] else None

    def copy(self) -> Affine:
        return Affine(dict(self.linear), dict(self.products))

    def add(self, other: Affine, factor: int = 1) -> None:
        """Add ``factor * other``, in place."""
        add_linear(self.linear, other.linear, factor)
        for product, coefficient in other.products.items():
            total = self.products.get(product, 0) + factor * coefficient
            if total:
                self.products[product] = total
            else:
                self.products.pop(product, None)


@dataclass(eq=False)
class Product:
    """``indicator * value``: a ciphertext-ciphertext multiplication.

    Attributes
    ----------
    bound : float
        Largest absolute value of ``value``.
    effect : float
        By how much the score moves, at most, when this product moves by 1.
    is_indicator : bool
        Whether ``value`` is an indicator as well.
    level : int
        Set by the schedule.
    """

    indicator: Affine
    value: Affine
    bound: float
    effect: float = 1.0
    is_indicator: bool = False
    level: int = 0

    def __post_init__(self) -> None:
        self.depth = 1 + max(self.indicator.depth, self.value.depth)

    def operands(self) -> Iterator[tuple[Affine, float]]:
        """Both factors, each with the effect on the score of a change in it by 1."""
        yield self.indicator, self.effect * self.bound
        yield self.value, self.effect


def build_circuit(total: Sum) -> Affine:
    """The circuit of one score."""
    return _Builder().affine(total, levels_for(total.height))


def levels_for(height: int) -> int:
    """Multiplications one after another for trees of a height: ``ceil(log2(height))``."""
    return max(0, height - 1).bit_length()


class _Builder:
    def __init__(self) -> None:
        self._lowest: dict[Sum, Affine] = {}
        self._indicators: dict[Path, Affine] = {}

    def affine(self, total: Sum, n_levels: int) -> Affine:
        """The value of a sum of height up to ``2 ** n_levels``, in that many levels."""
        if n_levels == 0:
            return self._terms(total)
        if total.height <= n_levels + 1:
            return self._from_leaves(total)
        cut = 2 ** (n_levels - 1)
        result = self._leftmost(total, cut).copy()
        pending: list[tuple[Branch, Path]] = [(branch, ()) for branch in total.branches if branch.height > cut]
        while pending:
            branch, path = pending.pop()
            result.add(self._going_right(branch, path, cut))
            for side, goes_right in ((branch.low, False), (branch.high, True)):
                below = (*path, (branch.comparison, goes_right))
                pending += [(child, below) for child in side.branches if child.height > cut]
        return result

    def _going_right(self, branch: Branch, path: Path, cut: int) -> Affine:
        """``R_n * D_n`` of the module's docstring."""
        difference = self._leftmost(branch.high, cut).copy()
        difference.add(self._leftmost(branch.low, cut), -1)
        indicator = self._indicator((*path, (branch.comparison, True)))
        self._add_effect((*path, (branch.comparison, True)), branch.spread)
        if difference.is_constant:
            scaled = Affine()
            scaled.add(indicator, difference.linear.get(CONSTANT, 0))
            return scaled
        return Affine({}, {Product(indicator, difference, branch.spread): 1})

    def _leftmost(self, total: Sum, cut: int) -> Affine:
        """The value of a sum of which every branch higher than ``cut`` goes left; each made once."""
        if total not in self._lowest:
            small = Sum(total.constant, total.linear, [b for b in total.branches if b.height <= cut])
            result = self.affine(small, levels_for(small.height))
            for branch in total.branches:
                if branch.height > cut:
                    result.add(self._leftmost(branch.low, cut))
            self._lowest[total] = result
        return self._lowest[total]

    def _from_leaves(self, total: Sum) -> Affine:
        """``low + b (high - low)`` at every branch: a multiplication each."""
        result = self._terms(total)
        for branch in total.branches:
            low, difference = self._from_leaves(branch.low), self._from_leaves(branch.high)
            difference.add(low, -1)
            result.add(low)
            result.products[Product(Affine({branch.comparison: 1}), difference, branch.spread)] = 1
        return result

    @staticmethod
    def _terms(total: Sum) -> Affine:
        constant = {CONSTANT: total.constant} if total.constant else {}
        return Affine({**total.linear, **constant})

    def _indicator(self, path: Path) -> Affine:
        """The product of a path's literals; each made once."""
        if path not in self._indicators:
            self._indicators[path] = self._make_indicator(path)
        return self._indicators[path]

    def _make_indicator(self, path: Path) -> Affine:
        *before, (comparison, goes_right) = path
        if not before:
            return Affine({comparison: 1}) if goes_right else Affine({comparison: -1, CONSTANT: 1})
        if not goes_right:
            result = self._indicator(tuple(before)).copy()
            result.add(self._indicator((*before, (comparison, True))), -1)
            return result
        cut = _half(path)
        product = Product(self._indicator(path[:cut]), self._indicator(path[cut:]), 1.0, 0.0, is_indicator=True)
        return Affine({}, {product: 1})

    def _add_effect(self, path: Path, effect: float) -> None:
        """Count what the last comparison of a path does to the score, on top of what others on the same path do.

        Products of earlier comparisons only were counted, with all that is below them, at their own branches.
        """
        while len(path) > 1:
            (product,) = self._indicators[path].products
            product.effect += effect
            path = path[_half(path) :]


def _half(path: Path) -> int:
    return 2 ** ((len(path) - 1).bit_length() - 1)


def products_of(outputs: list[Affine]) -> list[Product]:
    """All products of a circuit, each once, factors after the products they are part of."""
    order: list[Product] = []
    seen: set[Product] = set()

    def visit(affine: Affine) -> None:
        # The deepest first: what they share with others is then computed right before them.
        for product in sorted(affine.products, key=lambda product: -product.depth):
            if product not in seen:
                seen.add(product)
                visit(product.indicator)
                visit(product.value)
                order.append(product)

    for output in outputs:
        visit(output)
    return order[::-1]
