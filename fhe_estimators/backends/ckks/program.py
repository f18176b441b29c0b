"""The compiled program: comparisons, circuit and parameters. Server side, without secrets."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ParameterSelectionError
from ...quantizers import TARGET_SCORE_ERROR, WORST_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from ...utils import readable_bytes, warn_of_memory
from .._program import ClientSpec, Program
from ..messages import program_digest
from .circuit.comparisons import ComparisonTable, comparisons_of_ensemble
from .circuit.flooding import flooding_bits
from .circuit.inputs import FACTOR, TERM
from .circuit.levels import Schedule, schedule
from .circuit.merged_trees import imaginary_bounds
from .circuit.noise import circuit_noise
from .circuit.packing import PackingPlan, server_automorphisms
from .circuit.slots import rows_per_batch
from .costs import BatchCost, batch_cost, peak_memory_bytes, predicted_first_seconds, predicted_seconds
from .parameters import MAX_EXPANSION_LOG2, CKKSParameters, predicted_error_std, select_parameters
from .sizes import galois_key_bytes, public_ciphertext_bytes, public_key_bytes, relin_key_bytes, seeded_ciphertext_bytes

#: Trees that need more comparisons in a row are of no use under encryption.
_MAX_DEPTH = 100
#: Finest precision of leaf sums.
_MAX_SCORE_BITS = 26
#: Coarser leaves may be rounded upwards, and their noise grows with them.
_ROUNDING_MARGIN = 1.01


def quantize_for_ckks(ensemble: TreeEnsemble, quantizer: FeatureQuantizer, layout: str) -> TreeEnsemble:
    """Integer thresholds, and leaves at the best precision that the smallest possible ring offers."""
    if ensemble.depth > _MAX_DEPTH:
        raise ParameterSelectionError(
            f"The ensemble has trees of depth {ensemble.depth}; the ckks backend evaluates up to {_MAX_DEPTH}. Limit "
            "max_depth, or the number of leaves."
        )
    ensemble = quantizer.quantize_thresholds(ensemble)
    table = comparisons_of_ensemble(ensemble, quantizer.hidden_code_bits)
    finest = quantize_leaves(ensemble, _MAX_SCORE_BITS)
    plan = schedule(finest, table)
    parameters = select_parameters(
        n_levels=plan.n_levels,
        score_bits=range(_score_bits(ensemble, TARGET_SCORE_ERROR), _score_bits(ensemble, WORST_SCORE_ERROR) - 1, -1),
        noise=circuit_noise(finest, table, plan).scaled(_ROUNDING_MARGIN * 2.0**-_MAX_SCORE_BITS),
        expansions=_expansions(len(table.inputs), layout),
    )
    return quantize_leaves(ensemble, parameters.score_bits)


def compile_program(
    ensemble: TreeEnsemble, quantizer: FeatureQuantizer, layout: str, *, verbose: int = 0
) -> CKKSProgram:
    """Compile an ensemble that came from `quantize_for_ckks`."""
    table = comparisons_of_ensemble(ensemble, quantizer.hidden_code_bits)
    score_bits = max(1, *(int(np.abs(bound).max()).bit_length() for bound in ensemble.score_bounds()))
    plan = schedule(ensemble, table, verbose=verbose)
    parameters = select_parameters(
        n_levels=plan.n_levels,
        score_bits=[score_bits],
        noise=circuit_noise(ensemble, table, plan).scaled(2.0**-score_bits),
        expansions=_expansions(len(table.inputs), layout),
    )
    learned = quantizer.client_learns + "; the multiplicative depth"
    if not table.hides_bins:
        learned += "; the level at which each comparison is used, and whether it is a factor of a product"
    program = CKKSProgram(ensemble, parameters, quantizer.hidden_code_bits, learned)
    program.comparisons, program.schedule = table, plan  # found out already
    for expansion in {0, parameters.expansion_log2}:
        rows = "A full batch of rows" if expansion == 0 else "A small request"
        warn_of_memory(program.peak_memory_bytes([expansion]), rows, program.way_out([expansion]))
    return program


def _score_bits(ensemble: TreeEnsemble, score_error: float) -> int:
    return min(max(score_bits_for(ensemble, score_error), 8), _MAX_SCORE_BITS)


def _expansions(n_comparisons: int, layout: str) -> list[int]:
    """Packings of small requests to try, the most compact first."""
    full = min(MAX_EXPANSION_LOG2, max(0, n_comparisons - 1).bit_length())
    return {"rows": [0], "compact": [full]}.get(layout, list(range(full, -1, -1)))


class CKKSProgram(Program):
    """An ensemble compiled for the leveled engine.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    parameters : CKKSParameters
    hidden_code_bits : int or None
        Bits of the codes if clients send digits of codes rather than comparisons.
    client_learns : str
        What the quantizer tells the client of the model.
    """

    backend = "ckks"

    def __init__(
        self, ensemble: TreeEnsemble, parameters: CKKSParameters, hidden_code_bits: int | None, client_learns: str
    ):
        self.ensemble = ensemble
        self.parameters = parameters
        self.hidden_code_bits = hidden_code_bits
        self.client_learns = client_learns

    def __getstate__(self) -> dict[str, Any]:
        names = ("ensemble", "parameters", "hidden_code_bits", "client_learns")
        return {name: self.__dict__[name] for name in names}  # the caches are derived

    @cached_property
    def comparisons(self) -> ComparisonTable:
        """The comparisons in the trees and the inputs they are made of."""
        return comparisons_of_ensemble(self.ensemble, self.hidden_code_bits)

    @cached_property
    def schedule(self) -> Schedule:
        """The circuit."""
        return schedule(self.ensemble, self.comparisons)

    @cached_property
    def packing(self) -> PackingPlan:
        """Level and role of each input, and how inputs share ciphertexts."""
        if self.comparisons.hides_bins:
            n_inputs = len(self.comparisons.inputs)
            return PackingPlan(np.full(n_inputs, self.parameters.n_levels), np.full(n_inputs, FACTOR), False)
        levels, roles = self.schedule.comparison_levels, self.schedule.comparison_roles
        paired = (roles == TERM) & (levels > 0)
        worth_it = np.count_nonzero(paired) // 2 > self.schedule.n_responses
        return PackingPlan(
            levels, roles, worth_it and self.parameters.fits(imaginary_bounds(self.schedule.sums, paired))
        )

    @property
    def galois_elements(self) -> list[int]:
        """Automorphisms that the server applies."""
        p = self.parameters
        return server_automorphisms(p.poly_modulus_degree, p.expansion_log2, uses_pairs=self.packing.uses_pairs)

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict[str, Any]:
        return {
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
                "n_scores": self.ensemble.n_scores,
                "constants": self.schedule.constants,
                "uses_pairs": bool(self.packing.uses_pairs),
                "galois_elements": self.galois_elements,
            },
            arrays={**self.comparisons.inputs.to_arrays(), "level": self.packing.levels, "role": self.packing.roles},
        )

    def batch_cost(self, expansion_log2: int) -> BatchCost:
        """What evaluating a batch costs; found out once for each expansion."""
        if expansion_log2 not in self._batch_costs:
            self._batch_costs[expansion_log2] = batch_cost(self, expansion_log2)
        return self._batch_costs[expansion_log2]

    @cached_property
    def _batch_costs(self) -> dict[int, BatchCost]:
        return {}

    def predicted_seconds(self, n_rows: int) -> float:
        return predicted_seconds(self, n_rows)

    def peak_memory_bytes(self, expansions: list[int], n_processes: int = 1) -> int:
        """Memory of a server that evaluates batches of these expansions."""
        return peak_memory_bytes(self, expansions, n_processes)

    def way_out(self, expansions: list[int], n_processes: int = 1) -> str:
        """What to do about a request that takes too much memory: a sentence."""
        ways = []
        small = self.peak_memory_bytes([self.parameters.expansion_log2])
        if small < 0.9 * self.peak_memory_bytes(expansions, n_processes):
            n_rows = rows_per_batch(self.parameters.n_slots, self.parameters.expansion_log2)
            ways.append(f"send up to {n_rows:,} rows in a request, which take {readable_bytes(small)}")
        if n_processes > 1:
            ways.append("use a smaller n_jobs")
        ways.append("train fewer or smaller trees (n_estimators, max_depth, max_leaf_nodes), or use a larger machine")
        text = "; ".join(ways)
        return f"{text[0].upper()}{text[1:]}."

    def predicted_error_std(self) -> float:
        """Standard deviation, in integer steps, of a decrypted leaf sum before rounding."""
        return predicted_error_std(self.parameters, circuit_noise(self.ensemble, self.comparisons, self.schedule))

    def describe(self) -> dict[str, Any]:
        p, plan = self.parameters, self.schedule
        batch, small = ([g.level for g in self.packing.groups(k)] for k in (0, p.expansion_log2))
        return {
            "scheme": "CKKS (SEAL), leaf sums rounded to exact integers",
            "security_bits": int(p.security_bits),
            "poly_modulus_degree": p.poly_modulus_degree,
            "coeff_modulus_bits": list(p.coeff_modulus_bits),
            "depth": p.n_levels,
            "score_bits": p.score_bits,
            "predicted_error_std": self.predicted_error_std(),
            "n_products": len(plan.products),
            "n_relinearizations": plan.n_relinearizations(),
            "n_comparisons": len(self.comparisons),
            "rows_per_batch": p.n_slots,
            "n_ciphertexts": len(batch),
            "upload_bytes": sum(seeded_ciphertext_bytes(p, level) for level in batch),
            "download_bytes": self.schedule.n_responses * public_ciphertext_bytes(p, 1),
            "rows_per_small_request": rows_per_batch(p.n_slots, p.expansion_log2),
            "small_request_bytes": sum(seeded_ciphertext_bytes(p, level) for level in small),
            "predicted_seconds": {n_rows: round(self.predicted_seconds(n_rows), 4) for n_rows in (1, 1000)},
            "predicted_first_seconds": {n: round(predicted_first_seconds(self, n), 4) for n in (1, 1000)},
            "peak_memory_bytes": max(self.peak_memory_bytes([k]) for k in {0, p.expansion_log2}),
            "evaluation_key_bytes": relin_key_bytes(p)
            + len(self.galois_elements) * galois_key_bytes(p)
            + public_key_bytes(p),
            "server_sees": "ciphertexts, evaluation keys, the number of rows, timing",
            "client_learns": self.client_learns,
            "can_rerandomize": True,
            "flooding_bits": flooding_bits(self.predicted_error_std(), p.poly_modulus_degree),
        }
