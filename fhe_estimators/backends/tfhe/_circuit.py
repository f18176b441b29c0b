"""From tables to a circuit of concrete-python."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np

from ...exceptions import BackendNotAvailableError, ParameterSelectionError
from ...utils import import_optional, keep_signal_handlers
from ._tables import Source, Table, TablePlan


def load_concrete() -> Any:
    """The module ``concrete.fhe``, or an error that says what is in its way."""
    if int(np.__version__.partition(".")[0]) > 1:
        raise BackendNotAvailableError(
            f"concrete-python needs numpy 1, and numpy {np.__version__} is installed. Install an older one with: "
            'pip install "numpy<2"'
        )
    if find_spec("concrete") and not find_spec("pkg_resources"):
        raise BackendNotAvailableError(
            "concrete-python imports pkg_resources, which recent releases of setuptools lack. Install an older one "
            'with: pip install "setuptools<81"'
        )
    with keep_signal_handlers(), warnings.catch_warnings():  # Ctrl-C stays a KeyboardInterrupt
        warnings.simplefilter("ignore")  # it imports pkg_resources, which is deprecated
        return import_optional("concrete.fhe", extra="tfhe", purpose='backend="tfhe"')


def compile_circuit(
    plan: TablePlan, *, n_bits: int, bounds: tuple[np.ndarray, np.ndarray], global_p_error: float
) -> Any:
    """Compile a circuit for one row.

    Parameters
    ----------
    plan : TablePlan
    n_bits : int
        Bits that the client sends.
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
    evaluate = _function(fhe, plan, n_bits, bounds)
    # Hints hold the bounds of everything inside; the samples only show the inputs' range.
    samples = [np.zeros(n_bits, dtype=np.int64), np.ones(n_bits, dtype=np.int64)]
    configuration = fhe.Configuration(
        global_p_error=global_p_error,
        p_error=None,
        parameter_selection_strategy="multi",
        enable_unsafe_features=False,
        use_insecure_key_cache=False,
        fhe_simulation=True,
        compress_input_ciphertexts=True,
        compress_evaluation_keys=True,
        show_progress=False,
    )
    try:
        with keep_signal_handlers():
            circuit = fhe.Compiler(evaluate, {"bits": "encrypted"}).compile(samples, configuration)
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


def _function(fhe: Any, plan: TablePlan, n_bits: int, bounds: tuple[np.ndarray, np.ndarray]) -> Any:
    """What is traced: level by level of gates and leaves, and the sum of all leaves."""
    n_scores = len(plan.constants)
    levels = plan.levels
    width = max(len(table.inputs) for table in plan.tables)  # of all, so that they share one kind of bootstrap

    def evaluate(bits: Any) -> Any:
        position: dict[Source, int] = {("bit", index): index for index in range(n_bits)}
        total = None
        for level in levels:
            # Apart, since gates are bits and leaves are wide, and a tensor has one width.
            leaves = [plan.tables[number] for number in level if not plan.tables[number].is_gate]
            gates = [number for number in level if plan.tables[number].is_gate]
            if leaves:
                columns = np.zeros((len(leaves), n_scores), dtype=np.int64)
                columns[np.arange(len(leaves)), [table.column for table in leaves]] = 1
                sums = _look_up(fhe, bits, leaves, position, width) @ columns
                total = sums if total is None else total + sums
            if gates:
                found = _look_up(fhe, bits, [plan.tables[number] for number in gates], position, width)
                position |= {("gate", number): len(position) + row for row, number in enumerate(gates)}
                bits = np.concatenate((bits, found))
        return fhe.hint(total, can_store=[int(bounds[0].min()), int(bounds[1].max()), -1])

    return evaluate


def _packing(tables: list[Table], position: dict[Source, int]) -> np.ndarray:
    """Matrix that turns sources into the tables' indices."""
    packing = np.zeros((len(position), len(tables)), dtype=np.int64)
    for column, table in enumerate(tables):
        for bit, source in enumerate(table.inputs):
            packing[position[source], column] = 1 << bit
    return packing


def _look_up(fhe: Any, bits: Any, tables: list[Table], position: dict[Source, int], width: int) -> Any:
    """Values of tables, all widened to the same number of bits."""
    index = fhe.hint(bits @ _packing(tables, position), bit_width=width)
    rows = [np.resize(table.values, 2**width) for table in tables]
    smallest, largest = min(int(row.min()) for row in rows), max(int(row.max()) for row in rows)
    values = fhe.LookupTable([fhe.LookupTable(row.tolist()) for row in rows])[index]
    return fhe.hint(values, can_store=[smallest, largest])
