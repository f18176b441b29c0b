"""The compiled program: one quantized ensemble, and a program of each engine that can hold it. Without secrets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from .._program import ClientSpec, Program
from .._registry import resolve_backend
from ..messages import program_digest
from .choice import ENGINES, Choice

#: What `describe` tells of each engine beside the costs of the one that takes a single row.
_COSTS = (
    *("scheme", "security_bits", "poly_modulus_degree", "depth", "n_ciphertexts", "rows_per_batch"),
    *("upload_bytes", "download_bytes", "evaluation_key_bytes", "peak_memory_bytes", "predicted_seconds"),
    "predicted_first_seconds",
    *("can_rerandomize", "flooding_bits"),
)


class AutoProgram(Program):
    """An ensemble compiled for the engine for few rows, for the one for many, or for both.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized: the same for both engines.
    programs : dict of str to Program
        By the name of the engine.
    choice : Choice
        Which engine takes a request.
    left_out : dict of str to str
        Engines that do not hold the ensemble, and why.
    """

    backend = "auto"

    def __init__(
        self, ensemble: TreeEnsemble, programs: Mapping[str, Program], choice: Choice, left_out: Mapping[str, str]
    ):
        self.ensemble = ensemble
        self._programs = dict(programs)
        self.choice = choice
        self.left_out = dict(left_out)

    @property
    def programs(self) -> dict[str, Program]:
        return self._programs

    @cached_property
    def engine_of_program(self) -> dict[str, str]:
        """Names of engines by the identity of their program, which their messages carry."""
        return {program.client_spec.program_id: name for name, program in self.programs.items()}

    @cached_property
    def program_id(self) -> str:
        of_engines = {name: program.metadata() for name, program in self.programs.items()}
        return program_digest(self.ensemble, {"scheme": self.backend, "engines": of_engines})

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("engine_of_program", "program_id")}

    def engine_for(self, n_rows: int) -> str:
        return self.choice.engine_for(n_rows)

    def predicted_seconds(self, n_rows: int) -> float:
        return self.programs[self.engine_for(n_rows)].predicted_seconds(n_rows)

    def metadata(self) -> dict[str, Any]:
        return {
            "engines": {name: program.metadata() for name, program in self.programs.items()},
            "choice": self.choice.to_json(),
            "left_out": self.left_out,
        }

    @property
    def client_spec(self) -> ClientSpec:
        specs = {name: program.client_spec for name, program in self.programs.items()}
        return ClientSpec(
            backend=self.backend,
            program_id=self.program_id,
            metadata={
                "engines": {name: {"program_id": s.program_id, "metadata": s.metadata} for name, s in specs.items()},
                "choice": self.choice.to_json(),
            },
            arrays={f"{name}.{key}": array for name, s in specs.items() for key, array in s.arrays.items()},
        )

    def describe(self) -> dict[str, Any]:
        """Facts of the engine for many rows, with those that only the one for few has; and of each in ``engines``.

        ``security_bits`` is the lowest, ``evaluation_key_bytes`` is of all keys and ``peak_memory_bytes`` the largest
        of the engines in use, predicted seconds are those of the better one, and a small request is one for few
        rows.
        """
        facts = {name: program.describe() for name, program in self.programs.items()}
        used = [facts[name] for name in self.choice.engines]
        return {
            **used[0],
            **used[-1],
            **self._small_request(facts),
            "security_bits": min(each["security_bits"] for each in used),
            "evaluation_key_bytes": sum(each["evaluation_key_bytes"] for each in used),
            "peak_memory_bytes": max(each["peak_memory_bytes"] for each in used),
            **{
                key: {n: facts[self.engine_for(n)][key][n] for n in (1, 1000)}
                for key in ("predicted_seconds", "predicted_first_seconds")
            },
            "server_sees": used[0]["server_sees"] + "; the engine that the client chose",
            "client_learns": _learned({name: facts[name]["client_learns"] for name in self.programs}),
            "can_rerandomize": all(each["can_rerandomize"] for each in facts.values()),
            "flooding_bits": min(each["flooding_bits"] for each in facts.values()),
            "choice": self._choice_in_words(),
            "crossing_rows": self.choice.crossing_rows,
            "engines": {
                name: {"rows": self.choice.rows(name), **{key: each[key] for key in _COSTS if key in each}}
                for name, each in facts.items()
            },
            "engines_left_out": self.left_out,
        }

    def _small_request(self, facts: dict[str, dict[str, Any]]) -> dict[str, int]:
        rows = self.choice.rows(self.choice.few)
        if self.choice.few == self.choice.many or rows is None:
            return {}
        few = facts[self.choice.few]
        most = few["rows_per_batch"] if rows[1] is None else min(rows[1], few["rows_per_batch"])
        return {"rows_per_small_request": most, "small_request_bytes": few["upload_bytes"]}

    def _choice_in_words(self) -> str:
        choice = self.choice
        if len(choice.engines) == 1:
            return f"{choice.engines[0]} for any number of rows"
        return f"{choice.few} for less than {choice.crossing_rows:,} rows, {choice.many} for more"


def _learned(by_engine: dict[str, str]) -> str:
    texts = list(dict.fromkeys(by_engine.values()))
    return texts[0] if len(texts) == 1 else "; ".join(f"of {name}: {text}" for name, text in by_engine.items())


def load_program(ensemble: TreeEnsemble, metadata: dict[str, Any]) -> AutoProgram:
    """Restore a program: every engine checks its own part."""
    of_engines, left_out = metadata.get("engines"), metadata.get("left_out")
    if not isinstance(of_engines, dict) or not of_engines or not set(of_engines) <= set(ENGINES):
        raise ProtocolError(f"A program of several engines holds programs of {' or '.join(ENGINES)}, and no others.")
    if not isinstance(left_out, dict):
        raise ProtocolError("The engines_left_out of the archive are malformed.")
    programs = {name: resolve_backend(name).load(ensemble, settings) for name, settings in of_engines.items()}
    reasons = {str(name): str(reason) for name, reason in left_out.items()}
    return AutoProgram(ensemble, programs, Choice.from_json(metadata.get("choice"), programs), reasons)


def simulate(program: AutoProgram, codes: np.ndarray) -> np.ndarray:
    """What the engine that takes these rows simulates."""
    name = program.engine_for(len(codes))
    return resolve_backend(name).simulate(program.programs[name], codes)
