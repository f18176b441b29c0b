"""Trees cut into look-up tables of few bits: a table costs one programmable bootstrap (PBS).

A table looks up a subtree: its inputs are the bits of the subtree's comparisons and those on the path that leads to it;
it yields the leaf that is reached, and 0 if another path is taken. A tree's value is the sum of its tables. A long path
is gated: its bits are first combined into one, by a table of their own. Where the server compares, comparisons are
tables as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...ensembles import TreeEnsemble

#: Bits that a table may have. All tables of a level share a kind of bootstrap, and with it a key, so a few large
#: tables would slow all others down: for XGBoost 50 x 3, tables of 4 bits need 69 bootstraps and keys of 185 MB, tables
#: of 5 or 7 bits need 61, take longer in all, and keys of 1 GB.
MAX_TABLE_BITS = 4

#: An input of a table: ("bit", bit of the client) or ("gate", table).
Source = tuple[str, int]
#: A path: what must be 1 or 0.
Path = tuple[tuple[Source, int], ...]


@dataclass(frozen=True)
class Table:
    """A look-up table.

    Parameters
    ----------
    inputs : tuple of Source
        Bit k of the index is input k.
    values : ndarray of int64, shape (2 ** n_inputs,)
    column : int
        Score that it is added to; -1 for a gate, whose value is a bit that other tables take.
    """

    inputs: tuple[Source, ...]
    values: np.ndarray
    column: int

    @property
    def is_gate(self) -> bool:
        return self.column < 0


@dataclass(frozen=True)
class TablePlan:
    """All tables of an ensemble.

    Parameters
    ----------
    tables : list of Table
        Gates come before what they gate.
    constants : ndarray of int64, shape (n_scores,)
        Of trees that are a single leaf.
    """

    tables: list[Table]
    constants: np.ndarray

    @property
    def levels(self) -> list[list[int]]:
        """Tables that depend on no other, those that depend on them, and so on."""
        level: dict[int, int] = {}
        for number, table in enumerate(self.tables):
            gates = [level[index] for kind, index in table.inputs if kind == "gate"]
            level[number] = 1 + max(gates, default=-1)
        count = 1 + max(level.values(), default=-1)
        return [[number for number, found in level.items() if found == depth] for depth in range(count)]


def plan_tables(
    ensemble: TreeEnsemble, comparison_of_node: np.ndarray, sources: list[Source], gates: list[Table]
) -> TablePlan:
    """The cheapest way to cut each tree.

    Parameters
    ----------
    ensemble : TreeEnsemble
    comparison_of_node : ndarray of int, shape (n_nodes,)
        -1 in leaves.
    sources : list of Source
        The origin of the bit of each comparison.
    gates : list of Table
        Tables that are there already, those that compare.
    """
    planner = _Planner(ensemble, comparison_of_node, sources, gates)
    constants = np.zeros(ensemble.n_scores, dtype=np.int64)
    for tree, column in enumerate(ensemble.tree_columns):
        root = int(ensemble.tree_offsets[tree])
        if ensemble.is_leaf[root]:
            constants[column : column + ensemble.width] += ensemble.value[root]
        else:
            planner.emit(root, (), int(column))
    return TablePlan(planner.tables, constants)


class _Planner:
    """Chooses between one table, cutting below a node, and gating the path; by dynamic programming."""

    def __init__(
        self, ensemble: TreeEnsemble, comparison_of_node: np.ndarray, sources: list[Source], gates: list[Table]
    ):
        self.ensemble = ensemble
        self.source_of_node = [sources[comparison] if comparison >= 0 else None for comparison in comparison_of_node]
        self.is_leaf = ensemble.is_leaf
        self.tables = list(gates)
        self._choice = lru_cache(maxsize=None)(self._cheapest)
        self._sources = lru_cache(maxsize=None)(self._sources_below)

    def _sources_below(self, node: int) -> frozenset[Source]:
        source = self.source_of_node[node]
        if source is None:
            return frozenset()
        left, right = int(self.ensemble.left[node]), int(self.ensemble.right[node])
        return frozenset([source]) | self._sources(left) | self._sources(right)

    def _cheapest(self, node: int, path_bits: int) -> tuple[int, str]:
        """Bootstraps and kind of the best way to look up a subtree below a path of so many bits."""
        options = []
        n_bits = path_bits + len(self._sources(node))
        if n_bits <= MAX_TABLE_BITS:
            options.append((self.ensemble.width, "table"))
        if not self.is_leaf[node] and path_bits < MAX_TABLE_BITS:
            children = int(self.ensemble.left[node]), int(self.ensemble.right[node])
            options.append((sum(self._choice(child, path_bits + 1)[0] for child in children), "cut"))
        if path_bits > 1:
            options.append((1 + self._choice(node, 1)[0], "gate"))
        return min(options)

    def emit(self, node: int, path: Path, column: int) -> None:
        """Append the tables of a subtree."""
        kind = self._choice(node, len(path))[1]
        if kind == "table":
            self._append_leaves(node, path, column)
        elif kind == "cut":
            source = self.source_of_node[node]
            assert source is not None
            self.emit(int(self.ensemble.left[node]), (*path, (source, 0)), column)
            self.emit(int(self.ensemble.right[node]), (*path, (source, 1)), column)
        else:
            inputs = tuple(dict.fromkeys(source for source, _ in path))
            taken = self._on_path(inputs, path).astype(np.int64)
            self.tables.append(Table(inputs, taken, -1))
            self.emit(node, ((("gate", len(self.tables) - 1), 1),), column)

    def _append_leaves(self, node: int, path: Path, column: int) -> None:
        below = sorted(self._sources(node))
        inputs = tuple(dict.fromkeys([*(source for source, _ in path), *below]))
        leaves = self._leaves(inputs, node)
        values = np.where(self._on_path(inputs, path)[:, None], self.ensemble.value[leaves], 0)
        for offset in range(self.ensemble.width):
            if values[:, offset].any():
                self.tables.append(Table(inputs, values[:, offset], column + offset))

    @staticmethod
    def _on_path(inputs: tuple[Source, ...], path: Path) -> np.ndarray:
        index = np.arange(2 ** len(inputs))
        on_path = np.ones(len(index), dtype=bool)
        for source, bit in path:
            on_path &= (index >> inputs.index(source)) & 1 == bit
        return on_path

    def _leaves(self, inputs: tuple[Source, ...], node: int) -> np.ndarray:
        """Leaf below a node for every value of the inputs."""
        index = np.arange(2 ** len(inputs))
        source = self.source_of_node[node]
        if source is None:
            return np.full(len(index), node)
        right = (index >> inputs.index(source)) & 1 == 1
        when_right, when_left = (
            self._leaves(inputs, int(child[node])) for child in (self.ensemble.right, self.ensemble.left)
        )
        return np.where(right, when_right, when_left)
