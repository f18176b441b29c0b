"""The compiled program: costs of leaves, digits of their values, parameters. Server side, without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from .._program import ClientSpec, Program
from .._security import security_bits
from ..messages import program_digest
from .circuit.boxes import LeafCosts, leaf_costs
from .circuit.digits import digit_bits_for, leaf_digits, leaf_values
from .circuit.layout import Layout, layout_for
from .circuit.steps import baby_steps_for, circuit_steps
from .circuit.zero_test import ZeroTest
from .costs import peak_memory_bytes, predicted_seconds
from .parameters import PLAIN_MODULUS, RING_DEGREES, BFVParameters, fit_ring, too_deep
from .sizes import public_ciphertext_bytes, seeded_ciphertext_bytes, switching_key_bytes


def compile_program(ensemble: TreeEnsemble, hidden_code_bits: int | None, client_learns: str) -> BFVProgram:
    """Choose the smallest ring that evaluates a quantized ensemble exactly."""
    costs = leaf_costs(ensemble, hidden_code_bits).dependent()
    for degree in RING_DEGREES:
        if 2 * len(costs.bits) > degree:
            continue
        layout = layout_for(degree, len(costs.bits), len(costs.node), 1)
        steps = circuit_steps(layout, costs, ZeroTest(costs.largest, PLAIN_MODULUS))
        parameters = fit_ring(degree, steps)
        if parameters is not None:
            return BFVProgram(ensemble, parameters, hidden_code_bits, client_learns)
    raise too_deep(costs.largest, len(costs.bits))


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
    """

    backend = "bfv"

    def __init__(
        self, ensemble: TreeEnsemble, parameters: BFVParameters, hidden_code_bits: int | None, client_learns: str
    ):
        self.ensemble = ensemble
        self.parameters = parameters
        self.hidden_code_bits = hidden_code_bits
        self.client_learns = client_learns

    def __getstate__(self) -> dict[str, Any]:
        names = ("ensemble", "parameters", "hidden_code_bits", "client_learns")
        return {name: self.__dict__[name] for name in names}  # the caches are derived

    @cached_property
    def _all_costs(self) -> LeafCosts:
        return leaf_costs(self.ensemble, self.hidden_code_bits)

    @cached_property
    def costs(self) -> LeafCosts:
        """Linear forms of the leaves that depend on the sample; those that every sample reaches are constants."""
        return self._all_costs.dependent()

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
        return digit_bits_for(self.ensemble.n_trees, PLAIN_MODULUS)

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

    def output_values(self) -> Iterator[np.ndarray]:
        """What each output sums up over the reached leaves, modulo p, shape (n_leaves,).

        The last one is the inverse of the number of trees that depend on the sample. Exactly one leaf of each is
        reached, so the client finds 1, and an error if the result is not that of its own request; the number itself
        is not shown.
        """
        for score, digit in self.outputs:
            yield self.digits[score, digit]
        trees = np.searchsorted(self.ensemble.tree_offsets, self.costs.node, side="right")
        yield np.full(len(trees), pow(len(np.unique(trees)), -1, PLAIN_MODULUS))

    @property
    def n_outputs(self) -> int:
        """Ciphertexts of a result; 0 if no leaf depends on the sample."""
        return len(self.outputs) + 1 if len(self.costs.node) else 0

    def layout(self, n_rows: int) -> Layout:
        """Slots of a batch for a request of so many samples."""
        return layout_for(
            self.parameters.poly_modulus_degree, len(self.costs.bits), len(self.costs.node), max(1, n_rows)
        )

    @property
    def n_blocks(self) -> int:
        """Blocks of leaves of a batch."""
        layout = self.layout(1)
        return -(-len(self.costs.node) // (layout.n_out * layout.n_segments))

    @cached_property
    def baby_steps(self) -> int:
        """Rotations of the bits that the blocks share; the same for every layout, so that one key serves all."""
        return baby_steps_for(self.layout(1), self.n_blocks)

    @property
    def galois_elements(self) -> list[int]:
        """Automorphisms that the server applies."""
        return self.layout(1).galois_elements(self.baby_steps)

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict[str, Any]:
        return {
            "scheme": self.backend,
            "parameters": asdict(self.parameters),
            "hidden_code_bits": self.hidden_code_bits,
            "client_learns": self.client_learns,
        }

    @property
    def client_spec(self) -> ClientSpec:
        return ClientSpec(
            backend=self.backend,
            program_id=self.program_id,
            metadata={
                "parameters": asdict(self.parameters),
                "n_leaves": len(self.costs.node),
                "digit_bits": self.digit_bits,
                "outputs": [list(output) for output in self.outputs],
                "constants": self.constants.tolist(),
                "galois_elements": self.galois_elements,
            },
            arrays={"feature": self.costs.bits.feature, "threshold": self.costs.bits.threshold},
        )

    def predicted_seconds(self, n_rows: int) -> float:
        return predicted_seconds(self, n_rows)

    def describe(self) -> dict[str, Any]:
        p, layout = self.parameters, self.layout(1)
        return {
            "scheme": "BFV (SEAL), leaves in slots, exact modulo 65537",
            "security_bits": int(security_bits(p.poly_modulus_degree, sum(p.coeff_modulus_bits))),
            "poly_modulus_degree": p.poly_modulus_degree,
            "coeff_modulus_bits": list(p.coeff_modulus_bits),
            "plain_modulus": PLAIN_MODULUS,
            "depth": self.zero_test.depth,
            "n_leaves": len(self.costs.node),
            "n_bits": len(self.costs.bits),
            "n_blocks": self.n_blocks,
            "n_diagonals": self.n_blocks * layout.n_diagonals,
            "rows_per_batch": self.layout(1 << 20).n_samples,
            "n_ciphertexts": 1,
            "upload_bytes": seeded_ciphertext_bytes(p),
            "download_bytes": self.n_outputs * public_ciphertext_bytes(p),
            "predicted_seconds": {n_rows: round(self.predicted_seconds(n_rows), 4) for n_rows in (1, 1000)},
            "peak_memory_bytes": peak_memory_bytes(self),
            "evaluation_key_bytes": (1 + len(self.galois_elements)) * switching_key_bytes(p),
            "server_sees": "ciphertexts, evaluation keys, the number of rows, timing",
            "client_learns": self.client_learns + "; the numbers of leaves and of output digits, the ring, and the "
            "sum of leaves that every row reaches",
            "can_rerandomize": False,
            "flooding_bits": 0.0,
        }


def load_program(ensemble: TreeEnsemble, metadata: dict[str, Any]) -> BFVProgram:
    """Restore a program, checking that its parameters suffice for its trees."""
    parameters = BFVParameters.from_json(metadata.get("parameters"))
    hidden = metadata.get("hidden_code_bits")
    if hidden is not None and (type(hidden) is not int or not 1 <= hidden <= 16):
        raise ProtocolError(f"hidden_code_bits={hidden!r} of the archive must be an integer from 1 to 16.")
    program = BFVProgram(ensemble, parameters, hidden, str(metadata.get("client_learns")))
    if compile_program(ensemble, hidden, program.client_learns).parameters != parameters:
        raise ProtocolError("The archive's parameters are not those that its trees need.")
    return program
