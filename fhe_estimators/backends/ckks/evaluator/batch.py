"""Evaluation of one batch of encrypted rows (server side)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ...messages import Blob, is_count
from ...seal.file import SealFile
from .._context import CKKSContext
from ..circuit.packing import PackedGroup
from ..circuit.slots import largest_expansion, rows_per_batch
from ..program import CKKSProgram
from .arithmetic import Encrypted
from .circuit import circuit_evaluator
from .evaluation_keys import PublicKeys
from .inputs import LazyInputs
from .rerandomization import Rerandomizer
from .seal_arithmetic import SEALArithmetic


@dataclass(frozen=True)
class EncryptedBatch:
    """Up to `circuit.slots.rows_per_batch` rows: a blob for each `PackedGroup`."""

    n_rows: int
    expansion_log2: int
    blobs: Sequence[Blob]

    def portable(self) -> EncryptedBatch:
        """For another process, with copies of what is part of the request."""
        return EncryptedBatch(self.n_rows, self.expansion_log2, [bytes(blob) for blob in self.blobs])


def split_batches(header: dict[str, Any], blobs: list[memoryview], program: CKKSProgram) -> list[EncryptedBatch]:
    """Batches of a request, with every number in its header checked."""
    parameters = program.parameters
    batches, start = [], 0
    try:
        shapes = [(n_rows, expansion) for n_rows, expansion in header["batches"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("The request is malformed: it does not say what its batches hold.") from error
    if not all(is_count(number) for shape in shapes for number in shape):
        raise ProtocolError("The request is malformed: what its batches hold are no numbers.")
    for n_rows, expansion in shapes:
        allowed = 0 <= expansion <= parameters.expansion_log2
        if not allowed or not 1 <= n_rows <= rows_per_batch(parameters.n_slots, expansion):
            raise ProtocolError(f"The request is malformed: {n_rows} rows at expansion {expansion} do not fit a batch.")
        if expansion != largest_expansion(n_rows, parameters.n_slots, parameters.expansion_log2):
            raise ProtocolError("The request is malformed: its rows are packed less densely than clients pack them.")
        n_blobs = sum(1 for _ in program.packing.groups(expansion))
        batches.append(EncryptedBatch(n_rows, expansion, blobs[start : start + n_blobs]))
        start += n_blobs
    if not batches or start != len(blobs):
        raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {start}.")
    return batches


def evaluate_batch(
    program: CKKSProgram,
    keys: PublicKeys,
    batch: EncryptedBatch,
    *,
    rerandomize: bool = False,
    after_step: Callable[[], None] = lambda: None,
) -> list[bytes]:
    """Encrypted leaf sums of one batch: a blob for each score that is not constant.

    With pairs they are twice as large, and without imaginary parts.
    """
    try:
        return _evaluate_batch(program, keys, batch, rerandomize=rerandomize, after_step=after_step)
    except RuntimeError as error:  # SEAL refuses results that hide nothing, which encryptions do not lead to
        raise ProtocolError(f"The request holds what a client does not encrypt: {error}.") from error


def _evaluate_batch(
    program: CKKSProgram, keys: PublicKeys, batch: EncryptedBatch, *, rerandomize: bool, after_step: Callable[[], None]
) -> list[bytes]:
    context, arithmetic = keys.context, SEALArithmetic(keys)
    groups = list(program.packing.groups(batch.expansion_log2))
    with SealFile() as file:

        def load(number: int) -> Encrypted:
            level = groups[number].level
            ciphertext = _load_ciphertext(file, context, batch.blobs[number], groups[number])
            return arithmetic.made(ciphertext, level, 2, arithmetic.scales[level])

        inputs = LazyInputs(arithmetic, groups, load, program.parameters.poly_modulus_degree)
        circuit = circuit_evaluator(program.schedule, program.comparisons, arithmetic, inputs)
        scores = circuit.evaluate(clear_imaginary=program.packing.uses_pairs, after_step=after_step)
        responses = [score.ciphertext for score in scores]
        if rerandomize:
            Rerandomizer(program, keys).apply(responses, batch.expansion_log2)
        return [file.dump(response) for response in responses]


def _load_ciphertext(file: SealFile, context: CKKSContext, blob: Blob, group: PackedGroup) -> seal.Ciphertext:
    ciphertext = file.load(seal.Ciphertext(), context, blob, "ciphertext")
    if ciphertext.size() != 2 or ciphertext.parms_id() != context.level_ids[group.level]:
        raise ProtocolError("A ciphertext of the request has another size or level than the program expects.")
    return ciphertext
