"""Quantization and compilation for both engines, and for the one that can hold a model where the other cannot."""

from __future__ import annotations

import warnings

from ...ensembles import TreeEnsemble
from ...exceptions import ParameterSelectionError
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
    warned: dict[str, list[warnings.WarningMessage]] = {}
    for name in ENGINES:
        with warnings.catch_warnings(record=True) as warned[name]:
            warnings.simplefilter("always")
            try:
                if programs and ensemble.n_nodes > MOST_NODES:
                    raise ParameterSelectionError(
                        f"{ensemble.n_nodes:,} nodes are more than the {MOST_NODES:,} that are worth trying."
                    )
                programs[name] = resolve_backend(name).compile(ensemble, quantizer, verbose=verbose)
            except ParameterSelectionError as error:
                left_out[name] = str(error)
    if not programs:
        raise ParameterSelectionError(" ".join(f"{name}: {reason}" for name, reason in left_out.items()))
    for name in _to_leave_out(programs):
        left_out[name] = _too_large(programs.pop(name))
    for warning in (each for name in programs for each in warned[name]):
        warnings.warn(warning.message, stacklevel=4)  # up to the call of an estimator's `compile`
    return AutoProgram(ensemble, programs, _choice(programs), left_out)


def _to_leave_out(programs: dict[str, Program]) -> list[str]:
    """Engines that are not worth their memory where another one takes less: never all of them."""
    needed = {name: program.required_memory_bytes() for name, program in programs.items()}
    least = min(needed, key=lambda name: needed[name])
    return [name for name, n_bytes in needed.items() if n_bytes > memory_budget(None) and name != least]


def _too_large(program: Program) -> str:
    return (
        f"A request would take {readable_bytes(program.required_memory_bytes())} of memory, more than the "
        f"{readable_bytes(memory_budget(None))} that requests may take on the machine that compiled it."
    )


def _choice(programs: dict[str, Program]) -> Choice:
    if len(programs) == 1:
        (only,) = programs
        return Choice(only, only, None)
    return cheaper(programs[FEW].predicted_seconds, programs[MANY].predicted_seconds)
