"""The compiled program: costs of leaves, digits of their values, parameters. Server side, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from ...utils import warn_of_memory
from .._program import ClientSpec, Program
from .._security import security_bits
from ..messages import program_digest
from .circuit.boxes import LeafCosts, leaf_costs
from .circuit.digits import digit_bits_for, leaf_digits, leaf_values, trees_of_a_score
from .circuit.layout import Layout, layout_for
from .circuit.noise import NoiseSteps
from .circuit.routing import RoutedInput, Routes, layout_of_windows, route
from .circuit.steps import baby_steps_for, baby_steps_of_windows, circuit_steps, routed_steps
from .circuit.zero_test import ZeroTest
from .costs import peak_memory_bytes, predicted_first_seconds, predicted_seconds
from .parameters import (
    PLAIN_MODULUS,
    RING_DEGREES,
    BFVParameters,
    fit_ring,
    result_budget_bits,
    suffices,
    too_deep,
)
from .sizes import public_ciphertext_bytes, seeded_ciphertext_bytes, switching_key_bytes

#: Diagonals of one matrix from which on it is asked whether two steps take less time.
_MANY_DIAGONALS = 512
#: Times the least seconds of a window at which larger ones are not tried.
_WORSE = 1.5
#: What to do about a request that takes too much memory.
WAY_OUT = "Train fewer or smaller trees (n_estimators, max_depth, max_leaf_nodes), or use a larger machine"
_WINDOWS = (64, 128, 256, 512, 1024, 2048)


def compile_program(ensemble: TreeEnsemble, hidden_code_bits: int | None, client_learns: str) -> BFVProgram:
    """The program of a quantized ensemble that takes the least time for a sample, as predicted.

    One matrix of all leaves and bits in the smallest ring; if it is large, also bits routed to lanes with windows.
    """
    settings = (ensemble, hidden_code_bits, client_learns)
    costs = leaf_costs(ensemble, hidden_code_bits).dependent()
    found = list(_in_smallest_ring(settings, costs, None))
    if not found or found[0].n_blocks * found[0].layout(1).n_diagonals >= _MANY_DIAGONALS:
        found += _routed(settings, costs)
    if not found:
        raise too_deep(costs.largest, len(costs.bits))
    best = min(found, key=lambda program: program.predicted_seconds(1)) if len(found) > 1 else found[0]
    warn_of_memory(best.required_memory_bytes(), "A request of one row", f"{WAY_OUT}.")
    return best


def _routed(settings: tuple[TreeEnsemble, int | None, str], costs: LeafCosts) -> list[BFVProgram]:
    """Programs that route bits, by windows that grow for as long as the time does not."""
    found: list[BFVProgram] = []
    for window in _WINDOWS:
        for program in _in_smallest_ring(settings, costs, window):
            found.append(program)
            if program.predicted_seconds(1) > _WORSE * min(one.predicted_seconds(1) for one in found):
                return found
    return found


def _in_smallest_ring(
    settings: tuple[TreeEnsemble, int | None, str], costs: LeafCosts, window: int | None
) -> Iterator[BFVProgram]:
    """The program in the smallest ring that will do, if any."""
    programs = (_fitted(settings, costs, degree, window) for degree in RING_DEGREES)
    return islice((program for program in programs if program is not None), 1)


def _fitted(
    settings: tuple[TreeEnsemble, int | None, str], costs: LeafCosts, degree: int, window: int | None
) -> BFVProgram | None:
    """The program in one ring, with the fewest and smallest primes, or None if none will do."""
    if window is not None:  # what can be known before bits are routed, which takes longer
        source, layout = RoutedInput(degree, len(costs.bits)), layout_of_windows(degree, window)
        zero_test, n_blocks = ZeroTest(costs.largest, PLAIN_MODULUS), -(-len(costs.node) // degree)
        if fit_ring(degree, routed_steps(layout, n_blocks, source, zero_test)) is None:
            return None
    planned = _planned(settings[0], costs, degree, window)
    parameters = None if planned is None else fit_ring(degree, planned[1])
    if planned is None or parameters is None:
        return None
    program = BFVProgram(settings[0], parameters, *settings[1:], window)
    program.costs, program.routes = costs, planned[0]  # found out already
    return program


def _planned(
    ensemble: TreeEnsemble, costs: LeafCosts, degree: int, window: int | None
) -> tuple[Routes | None, NoiseSteps] | None:
    """Routes of the bits, if they are routed, and what the evaluation does to the noise; None if it is not possible."""
    zero_test = ZeroTest(costs.largest, PLAIN_MODULUS)
    if window is None:
        if 2 * len(costs.bits) > degree:
            return None
        return None, circuit_steps(layout_for(degree, len(costs.bits), len(costs.node), 1), costs, zero_test)
    source = RoutedInput(degree, len(costs.bits))
    routes = route(ensemble, costs, source, window) if len(costs.bits) else None
    return None if routes is None else (routes, routed_steps(routes.layout, routes.n_blocks, source, zero_test))


class BFVProgram(Program):
    """An ensemble compiled for the engine with leaves in slots.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    parameters : BFVParameters
        The parameters of the scheme.
    hidden_code_bits : int or None
        Bits of the codes if clients send the bits of all thresholds, and None if of those that are used.
    client_learns : str
        What the quantizer tells the client of the model.
    window : int, default=None
        Places of a lane's window if bits are routed (see `circuit.routing`); None for one matrix.
    """

    backend = "bfv"

    def __init__(
        self,
        ensemble: TreeEnsemble,
        parameters: BFVParameters,
        hidden_code_bits: int | None,
        client_learns: str,
        window: int | None = None,
    ):
        self.ensemble = ensemble
        self.parameters = parameters
        self.hidden_code_bits = hidden_code_bits
        self.client_learns = client_learns
        self.window = window

    def __getstate__(self) -> dict[str, Any]:
        names = ("ensemble", "parameters", "hidden_code_bits", "client_learns", "window")
        return {name: self.__dict__[name] for name in names}  # the caches are derived

    @cached_property
    def _all_costs(self) -> LeafCosts:
        return leaf_costs(self.ensemble, self.hidden_code_bits)

    @cached_property
    def costs(self) -> LeafCosts:
        """Linear forms of the leaves that depend on the sample; those that every sample reaches are constants."""
        return self._all_costs.dependent()

    @property
    def source(self) -> RoutedInput:
        """How clients place bits that are routed."""
        return RoutedInput(self.parameters.poly_modulus_degree, len(self.costs.bits))

    @cached_property
    def routes(self) -> Routes | None:
        """Leaves in lanes and the ways of the bits there; None for one matrix."""
        return None if self.window is None else route(self.ensemble, self.costs, self.source, self.window)

    @property
    def matrix(self) -> LeafCosts:
        """Costs of the leaves at their places, by what the linear step multiplies: the bits, or windows of them."""
        return self.costs if self.routes is None else self.routes.costs

    @cached_property
    def constants(self) -> np.ndarray:
        """Sum of the leaves that every sample reaches, shape (n_scores,), int64."""
        return leaf_values(self.ensemble, self._all_costs.always_reached()).sum(axis=1)

    @property
    def zero_test(self) -> ZeroTest:
        """The polynomial of the costs."""
        return ZeroTest(self.costs.largest, PLAIN_MODULUS)

    @property
    def digit_bits(self) -> int:
        """Bits of a digit of a leaf's value."""
        return digit_bits_for(trees_of_a_score(self.ensemble), PLAIN_MODULUS)

    @cached_property
    def digits(self) -> np.ndarray:
        """Digits of the leaves' values, shape (n_scores, n_digits, n_leaves)."""
        return leaf_digits(self.ensemble, self.costs.node, self.digit_bits)

    @cached_property
    def outputs(self) -> list[tuple[int, int]]:
        """Score and digit of each ciphertext of a result: those that are not 0 for every leaf.

        The last ciphertext of a result is none of these, but the check: see `output_values`.
        """
        return [(int(score), int(digit)) for score, digit in np.argwhere(self.digits.any(axis=2))]

    @cached_property
    def output_values(self) -> list[np.ndarray]:
        """What each output sums up over the reached leaves, modulo p, at the leaves' places.

        The last one is the inverse of the number of trees that depend on the sample. Exactly one leaf of each is
        reached, so the client finds 1, and an error if the result is not that of its own request; the number itself
        is not shown.
        """
        values = [self.digits[score, digit] for score, digit in self.outputs]
        trees = np.searchsorted(self.ensemble.tree_offsets, self.costs.node, side="right")
        values.append(np.full(len(trees), pow(len(np.unique(trees)), -1, PLAIN_MODULUS)))
        return values if self.routes is None else [self.routes.placed(of_leaves) for of_leaves in values]

    @property
    def score_bounds(self) -> list[list[int]]:
        """Smallest and largest sum of leaves in each score column: clients refuse what lies outside."""
        return np.stack(self.ensemble.score_bounds(), axis=1).tolist()

    @property
    def noise_budget_bits(self) -> float:
        """Bits of the noise budget of a result, predicted: decryption is exact while there are any."""
        if self.routes is not None:
            steps = routed_steps(self.routes.layout, self.routes.n_blocks, self.source, self.zero_test)
        else:
            steps = circuit_steps(self.layout(1), self.costs, self.zero_test)
        return result_budget_bits(self.parameters, steps)

    @property
    def n_outputs(self) -> int:
        """Ciphertexts of a result; 0 if no leaf depends on the sample."""
        return len(self.outputs) + 1 if len(self.costs.node) else 0

    def layout(self, n_rows: int) -> Layout:
        """Slots of a batch for a request of so many samples."""
        if self.routes is not None:
            return self.routes.layout
        return layout_for(
            self.parameters.poly_modulus_degree, len(self.costs.bits), len(self.costs.node), max(1, n_rows)
        )

    @property
    def n_blocks(self) -> int:
        """Blocks of leaves of a batch."""
        layout = self.layout(1)
        return -(-len(self.matrix.constant) // (layout.n_out * layout.n_segments))

    @cached_property
    def baby_steps(self) -> int:
        """Rotations of the bits by 0, 1, ... positions; the same for every layout, so that one key serves all."""
        if self.window is not None:
            return baby_steps_of_windows(self.window)
        return baby_steps_for(self.layout(1), self.n_blocks)

    @property
    def galois_elements(self) -> list[int]:
        """Automorphisms that the server applies."""
        return (self.routes or self.layout(1)).galois_elements(self.baby_steps)

    @property
    def n_inputs(self) -> int:
        """Ciphertexts of a batch."""
        return 1 if self.window is None else self.source.n_inputs

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict[str, Any]:
        return {
            "scheme": self.backend,
            "parameters": asdict(self.parameters),
            "hidden_code_bits": self.hidden_code_bits,
            "client_learns": self.client_learns,
            "window": self.window,
        }

    @property
    def client_spec(self) -> ClientSpec:
        return ClientSpec(
            backend=self.backend,
            program_id=self.program_id,
            metadata={
                "parameters": asdict(self.parameters),
                "n_leaves": len(self.costs.node),
                "window": self.window,
                "digit_bits": self.digit_bits,
                "outputs": [list(output) for output in self.outputs],
                "constants": self.constants.tolist(),
                "score_bounds": self.score_bounds,
                "galois_elements": self.galois_elements,
            },
            arrays={"feature": self.costs.bits.feature, "threshold": self.costs.bits.threshold},
        )

    def predicted_seconds(self, n_rows: int) -> float:
        return predicted_seconds(self, n_rows)

    def required_memory_bytes(self) -> int:
        return peak_memory_bytes(self, kept_bytes=0)

    def describe(self) -> dict[str, Any]:
        p, layout = self.parameters, self.layout(1)
        return {
            "scheme": "BFV (SEAL), leaves in slots, exact modulo 65537",
            "security_bits": int(security_bits(p.poly_modulus_degree, sum(p.coeff_modulus_bits))),
            "poly_modulus_degree": p.poly_modulus_degree,
            "coeff_modulus_bits": list(p.coeff_modulus_bits),
            "plain_modulus": PLAIN_MODULUS,
            "depth": self.zero_test.depth,
            "noise_budget_bits": round(self.noise_budget_bits, 1),
            "n_leaves": len(self.costs.node),
            "n_bits": len(self.costs.bits),
            "n_blocks": self.n_blocks,
            "n_diagonals": self.n_blocks * layout.n_diagonals,
            "window": self.window,
            "rows_per_batch": self.layout(1 << 20).n_samples,
            "n_ciphertexts": self.n_inputs,
            "upload_bytes": self.n_inputs * seeded_ciphertext_bytes(p),
            "download_bytes": self.n_outputs * public_ciphertext_bytes(p),
            "predicted_seconds": {n_rows: round(self.predicted_seconds(n_rows), 4) for n_rows in (1, 1000)},
            "predicted_first_seconds": {n: round(predicted_first_seconds(self, n), 4) for n in (1, 1000)},
            "peak_memory_bytes": peak_memory_bytes(self),
            "evaluation_key_bytes": (1 + len(self.galois_elements)) * switching_key_bytes(p),
            "server_sees": "ciphertexts, evaluation keys, the number of rows, timing",
            "client_learns": self.client_learns
            + "; the numbers of leaves and of output digits, the ring, the range of "
            "each score, and the sum of leaves that every row reaches",
            "can_rerandomize": False,
            "flooding_bits": 0.0,
        }


def load_program(ensemble: TreeEnsemble, metadata: dict[str, Any]) -> BFVProgram:
    """Restore a program, checking that its parameters suffice for its trees."""
    parameters = BFVParameters.from_json(metadata.get("parameters"))
    hidden = metadata.get("hidden_code_bits")
    if hidden is not None and (type(hidden) is not int or not 1 <= hidden <= 16):
        raise ProtocolError(f"hidden_code_bits={hidden!r} of the archive must be an integer from 1 to 16.")
    window = metadata.get("window")
    if window is not None and window not in _WINDOWS:
        raise ProtocolError(f"window={window!r} of the archive must be one of {_WINDOWS}.")
    costs = leaf_costs(ensemble, hidden).dependent()
    planned = _planned(ensemble, costs, parameters.poly_modulus_degree, window)
    if planned is None or not suffices(parameters, planned[1]):
        raise ProtocolError("The archive's parameters do not suffice for its trees.")
    program = BFVProgram(ensemble, parameters, hidden, str(metadata.get("client_learns")), window)
    program.costs, program.routes = costs, planned[0]
    return program
