"""Evaluation of one batch of encrypted rows (server side)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ...messages import is_count
from ...seal_file import SealFile
from .._context import CKKSContext
from ..circuit.packing import PackedGroup
from ..circuit.slots import rows_per_batch
from ..program import CKKSProgram
from .arithmetic import CircuitEvaluator
from .bits import EncryptedBit, EncryptedBits
from .digits import compose_bits
from .evaluation_keys import PublicKeys
from .rerandomization import Rerandomizer
from .unpacking import Unpacker


@dataclass(frozen=True)
class EncryptedBatch:
    """Up to `circuit.slots.rows_per_batch` rows: a blob for each `PackedGroup`."""

    n_rows: int
    expansion_log2: int
    blobs: list[bytes]


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
        n_blobs = sum(1 for _ in program.packing.groups(expansion))
        batches.append(EncryptedBatch(n_rows, expansion, [bytes(blob) for blob in blobs[start : start + n_blobs]]))
        start += n_blobs
    if not batches or start != len(blobs):
        raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {start}.")
    return batches


def evaluate_batch(
    program: CKKSProgram, keys: PublicKeys, batch: EncryptedBatch, *, rerandomize: bool = False, verbose: int = 0
) -> list[bytes]:
    """Encrypted leaf sums of one batch: a blob for each score that is not constant.

    With pairs they are twice as large, and without imaginary parts.
    """
    try:
        return _evaluate_batch(program, keys, batch, rerandomize=rerandomize, verbose=verbose)
    except RuntimeError as error:  # SEAL refuses results that hide nothing, which encryptions do not lead to
        raise ProtocolError(f"The request holds what a client does not encrypt: {error}.") from error


def _evaluate_batch(
    program: CKKSProgram, keys: PublicKeys, batch: EncryptedBatch, *, rerandomize: bool, verbose: int
) -> list[bytes]:
    plan, context = program.schedule, keys.context
    with SealFile() as file:
        inputs = _load_inputs(file, program, keys, batch)
        bits = EncryptedBits(context, compose_bits(context, plan, program.comparisons, inputs, keys.relin_keys))
        circuit = CircuitEvaluator(keys, plan, bits)
        responses = circuit.evaluate(clear_imaginary=program.packing.uses_pairs, verbose=verbose)
        if rerandomize:
            Rerandomizer(program, keys).apply(responses, batch.expansion_log2)
        return [file.dump(response) for response in responses]


def _load_inputs(
    file: SealFile, program: CKKSProgram, keys: PublicKeys, batch: EncryptedBatch
) -> dict[int, EncryptedBit]:
    """The inputs of a batch, unpacked, at the exact scales the program counts on (a message cannot set its own)."""
    context, inputs = keys.context, {}
    unpacker = Unpacker(context, keys.galois_keys) if batch.expansion_log2 else None
    for group, blob in zip(program.packing.groups(batch.expansion_log2), batch.blobs, strict=True):
        packed = _load_ciphertext(file, context, blob, group)
        parts = unpacker.unpack(packed, len(group.places), group.level) if unpacker else [packed]
        for place, part in zip(group.places, parts, strict=True):
            part.scale = context.bit_scale(group.level)
            for position, index in enumerate(place):
                inputs[index] = EncryptedBit(part, group.level, imaginary=position == 1)
    return inputs


def _load_ciphertext(file: SealFile, context: CKKSContext, blob: bytes, group: PackedGroup) -> seal.Ciphertext:
    ciphertext = file.load(seal.Ciphertext(), context, blob, "ciphertext")
    if ciphertext.size() != 2 or ciphertext.parms_id() != context.level_ids[group.level]:
        raise ProtocolError("A ciphertext of the request has another size or level than the program expects.")
    return ciphertext
