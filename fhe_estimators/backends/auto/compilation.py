"""Quantization and compilation for both engines, and for the one that can hold a model where the other cannot."""

from __future__ import annotations

import warnings

from ...ensembles import TreeEnsemble
from ...exceptions import MemoryBudgetWarning, ParameterSelectionError
from ...quantizers import FeatureQuantizer, relative_score_error
from ...utils import memory_budget, readable_bytes
from .._program import Program
from .._registry import resolve_backend
from .choice import ENGINES, FEW, MANY, Choice, cheaper
from .program import AutoProgram

#: Nodes above which rows in slots are not considered: a batch takes more memory than machines have, and finding that
#: out takes minutes.
MOST_NODES = 100_000


def quantize(ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
    """Integers that both engines evaluate: those of rows in slots, which has less precision, if it has enough."""
    few, many = resolve_backend(FEW), resolve_backend(MANY)
    if ensemble.n_nodes <= MOST_NODES:
        try:
            quantized = many.quantize(ensemble, quantizer)
        except ParameterSelectionError:
            return few.quantize(ensemble, quantizer)
        if relative_score_error(ensemble, quantized) <= many.worst_score_error:
            return quantized
    return few.quantize(ensemble, quantizer)


def compile_program(ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> AutoProgram:
    """Compile an ensemble for each engine that can hold it.

    Raises
    ------
    ParameterSelectionError
        If none can.
    """
    programs: dict[str, Program] = {}
    left_out: dict[str, str] = {}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for name in ENGINES:
            try:
                if programs and ensemble.n_nodes > MOST_NODES:
                    raise ParameterSelectionError(
                        f"{ensemble.n_nodes:,} nodes are more than the {MOST_NODES:,} that are worth trying."
                    )
                program = resolve_backend(name).compile(ensemble, quantizer, verbose=verbose)
            except ParameterSelectionError as error:
                left_out[name] = str(error)
            else:
                reason = _too_large(program) if programs else None
                if reason is None:
                    programs[name] = program
                else:
                    left_out[name] = reason
    if not programs:
        raise ParameterSelectionError(" ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    for warning in warned:
        if MANY in programs or not issubclass(warning.category, MemoryBudgetWarning):
            warnings.warn(warning.message, stacklevel=4)  # up to the call of an estimator's `compile`
    return AutoProgram(ensemble, programs, _choice(programs), left_out)


def _too_large(program: Program) -> str | None:
    """Why an engine is not worth its memory where there is another one, or None."""
    needed, budget = program.describe()["peak_memory_bytes"], memory_budget(None)
    if needed <= budget:
        return None
    return (
        f"A request would take {readable_bytes(needed)} of memory, more than the {readable_bytes(budget)} that "
        "requests may take on the machine that compiled it."
    )


def _choice(programs: dict[str, Program]) -> Choice:
    if len(programs) == 1:
        (only,) = programs
        return Choice(only, only, None)
    return cheaper(programs[FEW].predicted_seconds, programs[MANY].predicted_seconds)
