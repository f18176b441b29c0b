"""From tables to a circuit of concrete-python."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ...ensembles import MISSING
from ...exceptions import ParameterSelectionError
from ...utils import import_optional
from ._comparisons import Comparisons
from ._tables import Source, Table, TablePlan


def load_concrete() -> Any:
    """The module ``concrete.fhe``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports pkg_resources, which is deprecated
        return import_optional("concrete.fhe", extra="tfhe", purpose='backend="tfhe"')


def compile_circuit(
    plan: TablePlan,
    comparisons: Comparisons,
    *,
    server_code_bits: int | None,
    n_features: int,
    bounds: tuple[np.ndarray, np.ndarray],
    global_p_error: float,
) -> Any:
    """Compile a circuit for one row.

    Parameters
    ----------
    plan : TablePlan
    comparisons : Comparisons
    server_code_bits : int or None
        Bits of the codes if the server compares: inputs are codes plus one. None: inputs are comparison bits.
    n_features : int
    bounds : tuple of ndarray
        Smallest and largest scores.
    global_p_error : float
        Largest probability that any bootstrap of a row fails.

    Raises
    ------
    ParameterSelectionError
        If Concrete finds no parameters of 128 bits of security for that.
    """
    fhe = load_concrete()
    evaluate = _function(fhe, plan, comparisons, server_code_bits, bounds)
    largest = 1 if server_code_bits is None else 2**server_code_bits
    n_inputs = len(comparisons) if server_code_bits is None else n_features
    # Hints hold the bounds of everything inside; the samples only show the inputs' range.
    samples = [np.zeros(n_inputs, dtype=np.int64), np.full(n_inputs, largest, dtype=np.int64)]
    configuration = fhe.Configuration(
        global_p_error=global_p_error,
        p_error=None,
        parameter_selection_strategy="multi",
        enable_unsafe_features=False,
        use_insecure_key_cache=False,
        fhe_simulation=True,
        show_progress=False,
    )
    try:
        circuit = fhe.Compiler(evaluate, {"inputs": "encrypted"}).compile(samples, configuration)
    except RuntimeError as error:
        raise ParameterSelectionError(
            f"Concrete finds no parameters for this model with a failure probability of {global_p_error:.1g} a row "
            f"({str(error).strip()[:200]}). Allow a larger one (TFHEBackend(p_error=...)), fewer trees or less depth."
        ) from error
    if circuit.global_p_error > global_p_error:
        raise ParameterSelectionError(
            f"Concrete's parameters fail with probability {circuit.global_p_error:.1g} a row, more than the "
            f"p_error={global_p_error:.1g} that was asked for."
        )
    return circuit


def _function(
    fhe: Any,
    plan: TablePlan,
    comparisons: Comparisons,
    server_code_bits: int | None,
    bounds: tuple[np.ndarray, np.ndarray],
) -> Any:
    """What is traced: comparisons if the server's, then level by level of tables, then sums."""
    compare = None if server_code_bits is None else _comparison_tables(fhe, comparisons, server_code_bits)
    n_scores = len(plan.constants)
    levels = plan.levels

    def evaluate(inputs: Any) -> Any:
        sources = inputs if compare is None else fhe.hint(compare[inputs[comparisons.feature]], bit_width=1)
        position: dict[Source, int] = {("bit", index): index for index in range(len(comparisons))}
        total = None
        for level in levels:
            tables = [plan.tables[number] for number in level]
            values = _look_up(fhe, sources @ _packing(tables, position), tables)
            columns = np.zeros((len(tables), n_scores), dtype=np.int64)
            for row, table in enumerate(tables):
                if table.column >= 0:
                    columns[row, table.column] = 1
            if columns.any():
                sums = values @ columns
                total = sums if total is None else total + sums
            gates = [row for row, table in enumerate(tables) if table.column < 0]
            for row in gates:
                position["gate", level[row]] = len(position)
            if gates:
                sources = np.concatenate((sources, values[gates]))
        return fhe.hint(total, can_store=[int(bounds[0].min()), int(bounds[1].max()), -1])

    return evaluate


def _comparison_tables(fhe: Any, comparisons: Comparisons, code_bits: int) -> Any:
    """A table a comparison: from code plus one, 0 for a missing value, to the bit."""
    codes = np.arange(2 ** (code_bits + 1)) - 1
    rows = [
        np.where(codes == MISSING, missing_right, codes > threshold).astype(int).tolist()
        for threshold, missing_right in zip(comparisons.threshold, comparisons.missing_right, strict=True)
    ]
    return fhe.LookupTable([fhe.LookupTable(row) for row in rows])


def _packing(tables: list[Table], position: dict[Source, int]) -> np.ndarray:
    """Matrix that turns sources into the tables' indices."""
    packing = np.zeros((len(position), len(tables)), dtype=np.int64)
    for column, table in enumerate(tables):
        for bit, source in enumerate(table.inputs):
            packing[position[source], column] = 1 << bit
    return packing


def _look_up(fhe: Any, index: Any, tables: list[Table]) -> Any:
    """Values of tables; all are given the size of the largest, so that they share one kind of bootstrap and its key."""
    n_bits = max(len(table.inputs) for table in tables)
    rows = [np.resize(table.values, 2**n_bits) for table in tables]
    smallest, largest = min(int(row.min()) for row in rows), max(int(row.max()) for row in rows)
    values = fhe.LookupTable([fhe.LookupTable(row.tolist()) for row in rows])[fhe.hint(index, bit_width=n_bits)]
    return fhe.hint(values, can_store=[smallest, largest])
