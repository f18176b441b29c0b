"""`TFHEBackend`: the engine's factory."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ParameterSelectionError
from ...quantizers import TARGET_SCORE_ERROR, FeatureQuantizer, quantize_leaves, score_bits_for
from ...utils import warn_of_memory
from .._program import Program
from ..factory import LazyBackend
from ._circuit import load_concrete
from ._digits import MAX_CODE_BITS
from .program import TFHEProgram

_COMPARISONS = ("auto", "client", "server")
#: Bits of a leaf sum: what a bootstrap can output with the precision left.
_MIN_SCORE_BITS, _MAX_SCORE_BITS = 8, 14


class TFHEBackend(LazyBackend):
    """Trees by look-up tables: one row at a time, short responses.

    A bootstrap carries few bits, so sums of leaves have 14: scores are within 1 % of their range of the float model's,
    where other engines keep 0.01 %. Ensembles of so many trees that it would be more are refused.

    Parameters
    ----------
    comparison : {"auto", "client", "server"}, default="auto"
        Who compares features with thresholds. ``"client"``: it sends encrypted comparison bits, and a tree is a few
        look-up tables of packed bits. ``"server"``, as in the paper: the client sends the encrypted bits of its codes,
        and every distinct comparison is a chain of one to three tables. ``"auto"``: the server, if the quantizer hides
        the model's thresholds from clients, else the client.
    p_error : float, default=2 ** -40
        Largest probability that the response to a row is wrong. Parameters that cannot keep it are refused.

    References
    ----------
    *Privacy-Preserving Tree-Based Inference with Fully Homomorphic Encryption*, 2023.
    """

    name = "tfhe"
    package = __package__
    client_class = "client:TFHEClient"
    evaluator_class = "evaluator:TFHEEvaluator"
    #: Sums of leaves have 14 bits.
    worst_score_error = 1e-2

    def __init__(self, comparison: str = "auto", p_error: float = 2.0**-40):
        if comparison not in _COMPARISONS:
            raise ValueError(f"comparison={comparison!r} is unknown: use one of {_COMPARISONS}.")
        if not 0 < p_error < 1:
            raise ValueError(f"p_error={p_error!r} must be between 0 and 1.")
        self.comparison = comparison
        self.p_error = p_error

    def __repr__(self) -> str:
        return f"TFHEBackend(comparison={self.comparison!r}, p_error={self.p_error!r})"

    def quantize(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer) -> TreeEnsemble:
        score_bits = int(np.clip(score_bits_for(ensemble, TARGET_SCORE_ERROR), _MIN_SCORE_BITS, _MAX_SCORE_BITS))
        return quantize_leaves(quantizer.quantize_thresholds(ensemble), score_bits)

    def compile(self, ensemble: TreeEnsemble, quantizer: FeatureQuantizer, *, verbose: int = 0) -> Program:
        hidden = quantizer.hidden_code_bits
        by_server = self.comparison == "server" or (self.comparison == "auto" and hidden is not None)
        code_bits = None
        if by_server:
            largest = int(ensemble.threshold[~ensemble.is_leaf].max(initial=0)) + 1
            code_bits = hidden if hidden is not None else max(1, largest.bit_length())
            if code_bits > MAX_CODE_BITS:
                raise ParameterSelectionError(
                    f"The server would compare codes of {code_bits} bits, and tables take up to {MAX_CODE_BITS}: use "
                    "quantizer=UniformQuantizer(n_bits=6), or comparison='client'."
                )
        learns = quantizer.client_learns
        if not by_server and hidden is not None:
            learns += "; the comparisons that the model uses"
        program = TFHEProgram(ensemble, code_bits, self.p_error, learns + "; the range of each score")
        if not program.is_constant:
            program.circuit  # noqa: B018 (compiles, or says why not)
        warn_of_memory(program.peak_memory_bytes(), "A row", "Use a larger machine, or backend='ckks'.")
        return program

    def load(self, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> Program:
        return TFHEProgram.from_metadata(ensemble, metadata)

    def require_libraries(self) -> None:
        load_concrete()

    def simulate(self, program: Program, codes: np.ndarray) -> np.ndarray:
        return self._find("_simulation:simulate")(program, codes)
