"""What a request costs, told before it is paid.

Operations are counted from the layout of the request, and each is given a time: that of its number theoretic
transforms, of its passes over the coefficients, or of both. How many of them an operation takes is known. How long
they take was measured once, relative to a stage of a transform of a coefficient; and that is measured on this machine
when it is first needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...utils import PROCESS_BYTES
from ..seal.speed import keys_seconds, ntt_nanoseconds
from .circuit.layout import Layout
from .parameters import BFVParameters
from .sizes import CACHE_BYTES, plaintext_bytes, switching_key_bytes

if TYPE_CHECKING:
    from .program import BFVProgram

#: Measured once, relative to a stage of a transform of a coefficient, for rings of degree 8192 to 32768. Times the
#: stages of each transform that an operation makes ...
_KEY_SWITCHING, _MULTIPLYING, _TRANSFORM, _PLAIN_TRANSFORM, _ENCODING, _ENCRYPTION = 1.45, 1.54, 1.15, 1.45, 3.3, 6.0
#: ... times the pairs of primes between which a product converts its factors ...
_CONVERTING = 4.8
#: ... and times a coefficient (of one prime) of what it works on.
_MULTIPLY_PLAIN, _ADD, _ADD_PLAIN, _LOAD, _DUMP_SEEDED, _DUMP, _SWITCH = 4.6, 1.2, 3.0, 55.0, 60.0, 80.0, 6.0
#: Of a result, of one prime: it is read, decrypted and decoded, and its noise is measured.
_OPENING = 220.0
#: Seconds of the Python around an operation; and of placing a block's leaves, a slot.
_CALL_SECONDS, _SLOT_SECONDS = 1e-5, 6e-8
_TERM_BYTES, _NODE_BYTES = 120, 300


class OperationCosts:
    """Seconds of operations in a ring, at the level of fresh ciphertexts.

    Parameters
    ----------
    parameters : BFVParameters
        Of the program.
    """

    def __init__(self, parameters: BFVParameters):
        self._degree = parameters.poly_modulus_degree
        self._unit = 1e-9 * ntt_nanoseconds() * parameters.poly_modulus_degree
        self._stages = float(np.log2(parameters.poly_modulus_degree))
        self._primes = len(parameters.prime_bits)

    def _seconds(self, work: float) -> float:
        return _CALL_SECONDS + self._unit * work

    @property
    def key_switching(self) -> float:
        """A rotation or relinearization."""
        return self._seconds(_KEY_SWITCHING * self._stages * (self._primes**2 + 3 * self._primes + 2))

    @property
    def result_rotation(self) -> float:
        """The same for a result, of two primes."""
        return self._seconds(_KEY_SWITCHING * self._stages * (2**2 + 3 * 2 + 2))

    @property
    def product(self) -> float:
        """Of two ciphertexts, relinearized."""
        transforms = _MULTIPLYING * self._stages * 7 * (2 * self._primes + 1)
        conversions = _CONVERTING * 7 * self._primes * (self._primes + 1)
        return self._seconds(transforms + conversions) + self.key_switching

    @property
    def transform(self) -> float:
        """Of a ciphertext, into NTT form or out of it."""
        return self._seconds(_TRANSFORM * self._stages * 2 * self._primes)

    @property
    def plain_product(self) -> float:
        """With a plaintext in NTT form, and the sum with another one."""
        return self._seconds((_MULTIPLY_PLAIN + _ADD) * 2 * self._primes)

    @property
    def addition(self) -> float:
        """Of a plaintext."""
        return self._seconds(_ADD_PLAIN * 2 * self._primes)

    @property
    def encoding(self) -> float:
        """Of slots, into NTT form."""
        return self._seconds((_ENCODING + _PLAIN_TRANSFORM * self._primes) * self._stages)

    @property
    def placing(self) -> float:
        """Of numbers of leaves in slots."""
        return _SLOT_SECONDS * self._degree

    @property
    def encryption(self) -> float:
        """Encoding, encryption, writing and reading of the bits of a batch."""
        by_stage = self._stages * (_ENCODING + _ENCRYPTION * self._primes)
        return self._seconds(by_stage + (_DUMP_SEEDED + _LOAD) * self._primes)

    @property
    def result(self) -> float:
        """Of one output of a batch: out of NTT form, masked, switched to one prime, sent and opened."""
        mask = _ENCODING * self._stages + _ADD_PLAIN * 2 * self._primes
        return self.transform + self._seconds(mask + _SWITCH * self._primes**2 + 2 * _DUMP + _OPENING)


def operation_counts(program: BFVProgram, layout: Layout) -> dict[str, int]:
    """Operations of a batch by their name in `OperationCosts`, once those diagonals are encoded that are kept."""
    if not program.n_outputs:
        return {}
    n_blocks, n_products, n_outputs = program.n_blocks, program.zero_test.n_products, program.n_outputs
    n_baby = min(program.baby_steps, layout.n_diagonals)
    n_giant = -(-layout.n_diagonals // n_baby)
    n_kept = CACHE_BYTES // plaintext_bytes(program.parameters)
    # Bits are rotated once for all blocks, or routed once and rotated for each block.
    n_routing, n_rotated, routes = 0, 1, program.routes
    if routes is not None:
        n_routing, n_rotated = program.n_inputs * routes.n_rotations, n_blocks
    n_unrotated = program.n_inputs if n_routing else 0
    n_encoded = n_plaintexts(program, layout)
    return {
        "encryption": program.n_inputs,
        "key_switching": n_routing - n_unrotated + n_rotated * (n_baby - 1) + n_blocks * (n_giant - 1 + layout.n_folds),
        "transform": n_routing + n_rotated * n_baby + n_blocks * (n_giant + 1) + (n_blocks if n_routing else 0),
        "plain_product": n_encoded,
        "product": n_blocks * n_products,
        "addition": n_blocks * (2 * n_products + 1),
        "encoding": max(0, n_encoded - n_kept),
        "placing": n_blocks * (1 + n_outputs) + max(0, n_encoded - n_kept),
        "result": n_outputs,
        "result_rotation": n_outputs * len(layout.result_folds),
    }


def n_plaintexts(program: BFVProgram, layout: Layout) -> int:
    """Plaintexts that an evaluator multiplies with, and keeps while there is room: masks, diagonals, leaves' values."""
    n_masks = 0 if program.routes is None else program.routes.n_masks
    return n_masks + program.n_blocks * (layout.n_diagonals + program.n_outputs)


def batch_seconds(program: BFVProgram, layout: Layout) -> float:
    """Seconds of a batch on one core, from rows to scores."""
    costs = OperationCosts(program.parameters)
    counts = operation_counts(program, layout)
    return sum(count * float(getattr(costs, operation)) for operation, count in counts.items())


def predicted_seconds(program: BFVProgram, n_rows: int) -> float:
    """Seconds from rows to scores on one core, without keys and without a network, once plaintexts are encoded."""
    layout = program.layout(n_rows)
    return -(-n_rows // layout.n_samples) * batch_seconds(program, layout)


def predicted_first_seconds(program: BFVProgram, n_rows: int) -> float:
    """The same of a client's first request: keys are made and read, and plaintexts encoded that are kept."""
    p, layout = program.parameters, program.layout(n_rows)
    costs = OperationCosts(p)
    n_kept = min(n_plaintexts(program, layout), CACHE_BYTES // plaintext_bytes(p)) if program.n_outputs else 0
    keys = keys_seconds(p.poly_modulus_degree, len(p.prime_bits), 1 + len(program.galois_elements))
    return predicted_seconds(program, n_rows) + keys + n_kept * (costs.encoding + costs.placing)


def peak_memory_bytes(program: BFVProgram, kept_bytes: int = CACHE_BYTES) -> int:
    """Memory of a process during a request, the libraries and keys included, but not the request.

    Parameters
    ----------
    program : BFVProgram
        Compiled.
    kept_bytes : int, default=CACHE_BYTES
        What plaintexts may take that are kept for further requests.
    """
    p, layout = program.parameters, program.layout(1)
    n_primes, n_keys = len(p.prime_bits), 1 + len(program.galois_elements)
    keys = n_keys * (switching_key_bytes(p) + n_primes * 2 * 8 * p.poly_modulus_degree * (n_primes + 1))
    n_routed = program.n_inputs + program.n_blocks if program.routes is not None else 0
    n_ciphertexts = n_routed + program.baby_steps + program.n_outputs + 2 * program.zero_test.n_products + 8
    kept = min(n_plaintexts(program, layout) * plaintext_bytes(p), kept_bytes)
    # Of a term of a leaf's cost: the program's arrays, and those of a block while its diagonals are sorted.
    of_leaves = _TERM_BYTES * len(program.matrix.leaf) + _NODE_BYTES * program.ensemble.n_nodes
    return PROCESS_BYTES + keys + 2 * plaintext_bytes(p) * n_ciphertexts + kept + of_leaves
