"""What the server of the `tfhe` engine runs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ...ensembles import TreeEnsemble
from ...exceptions import ProtocolError
from .._program import ClientSpec, Program
from ..messages import program_digest
from ._circuit import compile_circuit
from ._comparisons import Comparisons, distinct_comparisons
from ._costs import peak_memory_bytes, seconds_of_row
from ._digits import CodeBits, comparison_tables
from ._key_parameters import security_of_specs
from ._tables import Source, Table, TablePlan, plan_tables


class TFHEProgram(Program):
    """An ensemble compiled to look-up tables.

    Parameters
    ----------
    ensemble : TreeEnsemble
        Quantized.
    server_code_bits : int or None
        Bits of the codes if the server compares, else None.
    p_error : float
        Largest probability that a row fails.
    client_learns : str
    """

    backend = "tfhe"

    def __init__(self, ensemble: TreeEnsemble, server_code_bits: int | None, p_error: float, client_learns: str):
        self.ensemble = ensemble
        self.server_code_bits = server_code_bits
        self.p_error = p_error
        self.client_learns = client_learns

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("ensemble", *self.metadata())}  # the caches are derived

    @cached_property
    def comparisons(self) -> Comparisons:
        """The distinct comparisons."""
        return distinct_comparisons(self.ensemble)[0]

    @cached_property
    def code_bits(self) -> CodeBits | None:
        """What clients send if the server compares."""
        if self.server_code_bits is None:
            return None
        return CodeBits(self.ensemble.n_features, self.server_code_bits, self.ensemble.allow_nan)

    @property
    def n_bits(self) -> int:
        """Bits, each a ciphertext, that clients send for a row."""
        return len(self.comparisons) if self.code_bits is None else len(self.code_bits)

    @cached_property
    def plan(self) -> TablePlan:
        """The comparisons, if they are the server's, and the trees as tables."""
        comparisons, of_node = distinct_comparisons(self.ensemble)
        sources: list[Source] = [("bit", index) for index in range(len(comparisons))]
        gates: list[Table] = []
        if self.code_bits is not None:
            sources, gates = comparison_tables(comparisons, self.code_bits)
        return plan_tables(self.ensemble, of_node, sources, gates)

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to look up."""
        return not self.plan.tables

    @cached_property
    def circuit(self) -> Any:
        """Concrete's circuit; compiled again where a program was pickled or loaded, with the same parameters."""
        low, high = self.ensemble.score_bounds()
        circuit = compile_circuit(
            self.plan,
            n_bits=self.n_bits,
            bounds=(low - self.plan.constants, high - self.plan.constants),
            global_p_error=self.p_error,
        )
        security_of_specs(circuit.client.specs.serialize())  # Concrete chose the parameters; nothing insecure is kept
        return circuit

    @cached_property
    def program_id(self) -> str:
        return program_digest(self.ensemble, self.metadata())

    def metadata(self) -> dict[str, Any]:
        return {
            "server_code_bits": self.server_code_bits,
            "p_error": self.p_error,
            "client_learns": self.client_learns,
        }

    @classmethod
    def from_metadata(cls, ensemble: TreeEnsemble, metadata: dict[str, Any]) -> TFHEProgram:
        """Restore what `metadata` describes."""
        try:
            bits, p_error = metadata["server_code_bits"], float(metadata["p_error"])
            if bits is not None:
                CodeBits(ensemble.n_features, bits, ensemble.allow_nan)
            if not 0 < p_error < 1:
                raise ProtocolError(f"p_error={p_error!r} must be between 0 and 1.")
            return cls(ensemble, bits, p_error, str(metadata["client_learns"]))
        except ProtocolError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError("These settings are not those of a program of the 'tfhe' backend.") from error

    @property
    def client_spec(self) -> ClientSpec:
        low, high = self.ensemble.score_bounds()
        arrays = {"smallest": low, "largest": high, "constants": self.plan.constants}
        if not self.is_constant:
            specs = self.circuit.client.specs.serialize()
            arrays["specs"] = np.frombuffer(specs, dtype=np.uint8)
        if self.server_code_bits is None:
            arrays |= self.comparisons.to_arrays()
        return ClientSpec(
            backend=self.backend,
            program_id=self.program_id,
            metadata={
                "server_code_bits": self.server_code_bits,
                "n_features": self.ensemble.n_features,
                "with_missing": self.ensemble.allow_nan,
            },
            arrays=arrays,
        )

    def peak_memory_bytes(self) -> int:
        """Memory of a server process during a row."""
        return peak_memory_bytes(0 if self.is_constant else _compressed_key_bytes(self.circuit))

    def describe(self) -> dict[str, Any]:
        circuit = None if self.is_constant else self.circuit
        return {
            "scheme": "TFHE (Concrete), programmable bootstrapping",
            "security_bits": 0 if circuit is None else int(security_of_specs(circuit.client.specs.serialize())),
            "poly_modulus_degree": 0 if circuit is None else _largest_polynomial(circuit),
            "depth": len(self.plan.levels),
            "n_comparisons": len(self.comparisons),
            "n_tables": len(self.plan.tables),
            "n_programmable_bootstraps": 0 if circuit is None else circuit.programmable_bootstrap_count,
            "failure_probability": 0.0 if circuit is None else circuit.global_p_error,
            "n_ciphertexts": self.n_bits,
            "rows_per_ciphertext": 1,
            "upload_bytes": 0 if circuit is None else circuit.size_of_inputs,
            "download_bytes": 0 if circuit is None else circuit.size_of_outputs,
            "predicted_seconds": {
                n_rows: 0.0 if circuit is None else round(n_rows * seconds_of_row(circuit), 4) for n_rows in (1, 1000)
            },
            "peak_memory_bytes": self.peak_memory_bytes(),
            "evaluation_key_bytes": 0 if circuit is None else _compressed_key_bytes(circuit),
            "server_sees": "ciphertexts, evaluation keys, the number of rows, timing",
            "client_learns": self.client_learns,
            "can_rerandomize": False,
            "flooding_bits": 0.0,
        }


def _largest_polynomial(circuit: Any) -> int:
    return max(key.polynomial_size() for key in circuit.programmable_bootstrap_count_per_parameter)


def _compressed_key_bytes(circuit: Any) -> int:
    """Evaluation keys as they are sent: of every ciphertext the body, words of 8 bytes; seeds stand for the masks."""
    keys = circuit.client.specs.program_info.get_keyset_info()
    dimensions = [key.dimension() for key in keys.secret_keys()]
    words = sum(
        key.input_lwe_dimension() * (key.glwe_dimension() + 1) * key.level() * key.polynomial_size()
        for key in keys.bootstrap_keys()
    )
    words += sum(dimensions[key.input_secret_key_id()] * key.level() for key in keys.keyswitch_keys())
    return 8 * words
