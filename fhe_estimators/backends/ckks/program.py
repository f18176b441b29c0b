"""The compiled program: tests, circuit and parameters. Server side, without secrets."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...quantizers import TARGET_SCORE_ERROR, WORST_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from .._base import ClientSpec, Program
from .._digest import program_digest
from .._security import SECURITY_BITS
from ._noise import bit_sensitivities
from ._polynomial import merge_trees
from ._schedule import Schedule, schedule
from ._sizes import galois_key_bytes, public_ciphertext_bytes, relin_key_bytes, seeded_ciphertext_bytes
from ._tests import TestTable, tests_of_ensemble
from .parameters import MAX_EXPANSION_LOG2, CKKSParameters, predicted_error_std, select_parameters


def quantize_for_ckks(ensemble: TreeEnsemble, quantizer: FeatureQuantizer, layout: str) -> TreeEnsemble:
    """Integer thresholds, and leaves at the best precision that the smallest possible ring offers."""
    ensemble = quantizer.quantize_thresholds(ensemble)
    table, tests = tests_of_ensemble(ensemble)
    largest = max(float(np.abs(bound).max()) for bound in ensemble.score_bounds()) or 1.0
    parameters = select_parameters(
        n_levels=max(1, ensemble.depth - 1),
        score_bits=range(_score_bits(ensemble, TARGET_SCORE_ERROR), _score_bits(ensemble, WORST_SCORE_ERROR) - 1, -1),
        # quantize_leaves keeps leaf sums below half of 2 ** score_bits
        sensitivities=bit_sensitivities(ensemble, tests, len(table)) / (2 * largest),
        n_divisions=_n_divisions(ensemble),
        expansions=_expansions(len(table), layout),
    )
    return quantize_leaves(ensemble, parameters.score_bits)


def compile_program(ensemble: TreeEnsemble, quantizer: FeatureQuantizer, layout: str) -> CKKSProgram:
    """Compile an ensemble that came from `quantize_for_ckks`."""
    table, tests = tests_of_ensemble(ensemble)
    score_bits = max(1, *(int(np.abs(bound).max()).bit_length() for bound in ensemble.score_bounds()))
    parameters = select_parameters(
        n_levels=schedule(merge_trees(ensemble, tests), len(table)).n_levels,
        score_bits=[score_bits],
        sensitivities=bit_sensitivities(ensemble, tests, len(table)) / 2.0**score_bits,
        n_divisions=_n_divisions(ensemble),
        expansions=_expansions(len(table), layout),
    )
    learned = quantizer.client_learns + "; the level at which each comparison is used"
    return CKKSProgram(ensemble, parameters, learned)


def _score_bits(ensemble: TreeEnsemble, score_error: float) -> int:
    return min(max(score_bits_for(ensemble, score_error) + 1, 8), 26)


def _expansions(n_tests: int, layout: str) -> list[int]:
    """Packings of small requests to try, the most compact first."""
    full = min(MAX_EXPANSION_LOG2, max(0, n_tests - 1).bit_length())
    return {"rows": [0], "compact": [full]}.get(layout, list(range(full, -1, -1)))


def _n_divisions(ensemble: TreeEnsemble) -> int:
    return 2 * ensemble.n_trees * max(1, ensemble.depth)


class CKKSProgram(Program):
    """An ensemble compiled for the leveled engine.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    parameters : CKKSParameters
    client_learns : str
        What the quantizer tells the client of the model.
    """

    backend = "ckks"

    def __init__(self, ensemble: TreeEnsemble, parameters: CKKSParameters, client_learns: str):
        self.ensemble = ensemble
        self.parameters = parameters
        self.client_learns = client_learns

    def __getstate__(self) -> dict[str, Any]:
        names = ("ensemble", "parameters", "client_learns")
        return {name: self.__dict__[name] for name in names}  # the caches are derived

    @cached_property
    def _tests_and_schedule(self) -> tuple[TestTable, Schedule]:
        table, tests = tests_of_ensemble(self.ensemble)
        return table, schedule(merge_trees(self.ensemble, tests), len(table))

    @property
    def tests(self) -> TestTable:
        """The comparisons whose bits clients send."""
        return self._tests_and_schedule[0]

    @property
    def schedule(self) -> Schedule:
        """The circuit."""
        return self._tests_and_schedule[1]

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict[str, Any]:
        return {"parameters": asdict(self.parameters), "client_learns": self.client_learns}

    @property
    def client_spec(self) -> ClientSpec:
        return ClientSpec(
            backend=self.backend,
            program_id=self.program_id,
            metadata={"parameters": asdict(self.parameters), "n_scores": self.ensemble.n_scores},
            arrays={**self.tests.to_arrays(), "test_levels": self.schedule.test_levels},
        )

    def predicted_error_std(self) -> float:
        """Standard deviation, in integer steps, of a decrypted leaf sum before rounding."""
        table, tests = tests_of_ensemble(self.ensemble)
        sensitivities = bit_sensitivities(self.ensemble, tests, len(table))
        return predicted_error_std(self.parameters, sensitivities, _n_divisions(self.ensemble))

    def describe(self) -> dict[str, Any]:
        p, plan = self.parameters, self.schedule
        used = plan.test_levels[plan.test_levels > 0]
        n_ciphertexts = len(used)
        n_answers = sum(total.height > 0 for total in plan.sums)
        per_batch = sum(seeded_ciphertext_bytes(p, int(level)) for level in used)
        packed = [-(-int(np.sum(used == level)) // 2**p.expansion_log2) for level in np.unique(used)]
        small = sum(
            n * seeded_ciphertext_bytes(p, int(level)) for n, level in zip(packed, np.unique(used), strict=True)
        )
        return {
            "scheme": "CKKS (SEAL), leaf sums rounded to exact integers",
            "security_bits": SECURITY_BITS,
            "poly_modulus_degree": p.poly_modulus_degree,
            "coeff_modulus_bits": list(p.coeff_modulus_bits),
            "depth": p.n_levels,
            "score_bits": p.score_bits,
            "predicted_error_std": self.predicted_error_std(),
            "n_products": plan.n_products(),
            "n_relinearizations": plan.n_relinearizations(),
            "n_tests": n_ciphertexts,
            "rows_per_batch": p.n_slots,
            "n_ciphertexts": n_ciphertexts,
            "upload_bytes": per_batch,
            "download_bytes": n_answers * public_ciphertext_bytes(p, 1),
            "rows_per_small_request": p.n_slots >> p.expansion_log2,
            "small_request_bytes": small,
            "evaluation_key_bytes": relin_key_bytes(p) + p.expansion_log2 * galois_key_bytes(p),
            "server_sees": "ciphertexts, evaluation keys, the number of rows, timing",
            "client_learns": self.client_learns,
        }
