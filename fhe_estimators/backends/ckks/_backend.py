"""`CKKSBackend`: the engine's factory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from ...quantizers import FeatureQuantizer
from .._program import Program
from ..seal._backend import SealBackend

_LAYOUTS = ("auto", "rows", "compact")


class CKKSBackend(SealBackend):
    """Leveled evaluation of trees on SEAL's CKKS scheme, many rows at once.

    The data owner compares, in the clear, and encrypts the results; the server sums up leaf values
    under encryption. Integers in, integers out: the noise of CKKS is bounded far below one half and
    rounded away, so results are exact.

    Parameters
    ----------
    layout : {"auto", "rows", "compact"}, default="auto"
        How rows fill ciphertexts. ``"rows"``: one ciphertext a comparison, N/2 rows a batch, no Galois keys.
        ``"compact"``: parameters under which up to 128 comparisons of a small request share a ciphertext
        (a larger ring, if need be). ``"auto"``: the smallest ring, and as compact as it allows; each
        request is packed as densely as its number of rows allows.
    """

    name = "ckks"
    package = __package__
    client_class = "client:CKKSClient"
    evaluator_class = "evaluator.requests:CKKSEvaluator"

    def __init__(self, layout: str = "auto"):
        if layout not in _LAYOUTS:
            raise ValueError(f"layout={layout!r} is unknown: use one of {_LAYOUTS}.")
        self.layout = layout

    def __repr__(self) -> str:
        return f"CKKSBackend(layout={self.layout!r})"

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        return self._find("program:quantize_for_ckks")(ensemble, quantizer, self.layout)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        return self._find("program:compile_program")(ensemble, quantizer, self.layout, verbose=verbose)

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        parameters = self._find("parameters:CKKSParameters").from_json(metadata.get("parameters", {}))
        program = self._find("program:CKKSProgram")(
            ensemble, parameters, metadata.get("hidden_code_bits"), str(metadata.get("client_learns"))
        )
        if program.schedule.n_levels != parameters.n_levels:
            raise ProtocolError("The archive's parameters do not fit its trees: they have another depth.")
        return program

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        sums = self._find("simulation:simulate_leaf_sums")(program, codes, np.random.default_rng())
        return np.rint(sums).astype(np.int64)
