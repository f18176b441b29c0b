"""What a request costs, told before it is paid: seconds and memory.

The evaluation is followed without ciphertexts (`counting`), and every operation is given a time: that of its number
theoretic transforms, on which SEAL spends most of it, or of its passes over the coefficients. How many of them an
operation takes is known. How long they take was measured once, relative to a stage of a transform of a coefficient;
and that is measured on this machine when it is first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...utils import PROCESS_BYTES
from ..seal.speed import keys_seconds, ntt_nanoseconds
from .circuit.slots import largest_expansion
from .counting import CountingArithmetic, Operation, follow_circuit
from .parameters import CKKSParameters
from .sizes import galois_key_bytes, public_key_bytes, relin_key_bytes, seeded_ciphertext_bytes

if TYPE_CHECKING:
    from .program import CKKSProgram

#: Seconds of the Python around an operation.
_CALL_SECONDS = 4e-6
#: Seconds that a client takes to prepare a packed bit for a slot.
_PACKING_SECONDS = 2e-8
#: Measured once, relative to a stage of a transform of a coefficient; within 20 % for rings of degree 8192 to 32768.
#: Times a stage of each transform that an operation makes, and times a coefficient (of one prime) of its result.
_RESCALING, _KEY_SWITCHING = 1.25, 1.58
_BY_COEFFICIENT = {
    "multiply": 6.3,
    "copy": 0.65,
    "drop": 0.65,
    "add": 1.05,
    "multiple": 4.6,
    "shift": 3.6,
    "add_constant": 0.5,
    "load": 22.6,
    "dump": 10.0,
    "decrypt": 2.8,
}
_ENCODING, _ENCRYPTION, _DECODING = 1.75, 5.5, 4.5


@dataclass(frozen=True)
class BatchCost:
    """Costs of evaluating one batch.

    Attributes
    ----------
    finished : ndarray of shape (n_steps,), float64
        Seconds that will have passed after each step of the circuit.
    ciphertext_bytes : int
        Memory of ciphertexts at the peak.
    upload_bytes : int
        Of the batch's part of the request.
    client_seconds : float
        Encryption and decryption.
    """

    finished: np.ndarray
    ciphertext_bytes: int
    upload_bytes: int
    client_seconds: float

    @property
    def server_seconds(self) -> float:
        """Of the evaluation."""
        return float(self.finished[-1])


class OperationCosts:
    """Seconds of operations in a ring.

    Parameters
    ----------
    parameters : CKKSParameters
    """

    def __init__(self, parameters: CKKSParameters):
        self.parameters = parameters
        self._unit = 1e-9 * ntt_nanoseconds() * parameters.poly_modulus_degree
        self._stages = float(np.log2(parameters.poly_modulus_degree))
        self._known: dict[Operation, float] = {}

    def __call__(self, operation: Operation) -> float:
        """Seconds of one operation."""
        if operation not in self._known:
            self._known[operation] = _CALL_SECONDS + self._unit * self._work(operation)
        return self._known[operation]

    def _work(self, operation: Operation) -> float:
        """In stages of a transform of one polynomial modulo one prime."""
        n_primes = self.parameters.n_primes(operation.level)
        if operation.name in ("relinearize", "automorphism"):
            # Every digit is transformed back, and for all other primes; two results are divided by the special prime.
            return _KEY_SWITCHING * self._stages * (n_primes**2 + 3 * n_primes + 2)
        if operation.name == "rescale":
            return _RESCALING * self._stages * operation.size * n_primes
        size = 3 if operation.name == "multiply" else operation.size
        return _BY_COEFFICIENT[operation.name] * size * n_primes

    def encryption(self, level: int) -> float:
        """Seconds in which a client encodes, encrypts and writes a ciphertext."""
        n_primes = self.parameters.n_primes(level)
        transforms = self._stages * (_ENCODING * (n_primes + 1.6) + _ENCRYPTION * n_primes)
        return self._unit * (transforms + 2 * _BY_COEFFICIENT["dump"] * n_primes)

    def decryption(self) -> float:
        """Seconds in which a response is written, read, decrypted and decoded."""
        n_primes = self.parameters.n_primes(1)
        by_coefficient = 2 * _BY_COEFFICIENT["dump"] + _BY_COEFFICIENT["load"] + _BY_COEFFICIENT["decrypt"]
        return self._unit * n_primes * (_DECODING * self._stages + 2 * by_coefficient)


def batch_cost(program: CKKSProgram, expansion_log2: int) -> BatchCost:
    """Costs of one batch, full or not: its slots are computed all alike."""
    parameters, costs = program.parameters, OperationCosts(program.parameters)
    groups = list(program.packing.groups(expansion_log2))
    counted = CountingArithmetic(parameters, costs)
    follow_circuit(program, counted, groups)
    n_places = sum(len(group.places) for group in groups) if expansion_log2 else 0
    client = sum(costs.encryption(group.level) for group in groups)
    client += _PACKING_SECONDS * n_places * parameters.n_slots
    client += program.schedule.n_responses * costs.decryption()
    upload = sum(seeded_ciphertext_bytes(parameters, group.level) for group in groups)
    return BatchCost(np.array(counted.finished), counted.peak_bytes(), upload, client)


def batches_of(program: CKKSProgram, n_rows: int) -> list[int]:
    """The expansion of each batch of a request."""
    n_slots, most = program.parameters.n_slots, program.parameters.expansion_log2
    rest = n_rows % n_slots
    return [0] * (n_rows // n_slots) + ([largest_expansion(rest, n_slots, most)] if rest else [])


def predicted_seconds(program: CKKSProgram, n_rows: int) -> float:
    """Seconds from rows to scores on one core, without making keys and without a network."""
    costs = [program.batch_cost(expansion) for expansion in batches_of(program, n_rows)]
    return sum(cost.server_seconds + cost.client_seconds for cost in costs)


def predicted_first_seconds(program: CKKSProgram, n_rows: int) -> float:
    """The same of a client's first request, for which keys are made and read."""
    p = program.parameters
    keys = keys_seconds(p.poly_modulus_degree, len(p.coeff_modulus_bits) - 1, 1 + len(program.galois_elements))
    return predicted_seconds(program, n_rows) + keys


def key_memory_bytes(program: CKKSProgram) -> int:
    """Evaluation keys of a client as a message, and parsed: seeds become polynomials."""
    p, n_galois = program.parameters, len(program.galois_elements)
    n_primes = len(p.coeff_modulus_bits)
    parsed = (1 + n_galois) * (n_primes - 1) * 2 * n_primes * 8 * p.poly_modulus_degree
    return relin_key_bytes(p) + n_galois * galois_key_bytes(p) + public_key_bytes(p) + parsed


def peak_memory_bytes(program: CKKSProgram, expansions: list[int], n_processes: int = 1) -> int:
    """Memory of the server while it evaluates a request, the libraries and the request itself included.

    Parameters
    ----------
    program : CKKSProgram
    expansions : list of int
        Of the batches.
    n_processes : int, default=1
        That evaluate batches at the same time.
    """
    costs = {expansion: program.batch_cost(expansion) for expansion in set(expansions)}
    one = PROCESS_BYTES + key_memory_bytes(program) + max(cost.ciphertext_bytes for cost in costs.values())
    return sum(costs[expansion].upload_bytes for expansion in expansions) + one * n_processes
