"""Evaluation of one batch of encrypted rows (server side)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tenseal.sealapi as seal

from ...exceptions import ProtocolError
from ._bits import EncryptedBit, EncryptedBits
from ._compose import compose_bits
from ._context import CKKSContext, SealFile
from ._evaluation import CircuitEvaluator
from ._packing import PackedGroup
from ._public_keys import PublicKeys
from ._schedule import Schedule
from ._unpacking import Unpacker
from .program import CKKSProgram


@dataclass(frozen=True)
class EncryptedBatch:
    """Up to ``N / 2 ** (expansion_log2 + 1)`` rows: a blob a `PackedGroup`, empty where it is not needed."""

    n_rows: int
    expansion_log2: int
    blobs: Sequence[bytes | memoryview]


def split_batches(header: dict[str, Any], blobs: list[memoryview], program: CKKSProgram) -> list[EncryptedBatch]:
    """Batches of a request, with every number in its header checked."""
    parameters = program.parameters
    batches, start = [], 0
    try:
        shapes = [(int(n_rows), int(expansion)) for n_rows, expansion in header["batches"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError("The request is malformed: it does not say what its batches hold.") from error
    for n_rows, expansion in shapes:
        if not 0 <= expansion <= parameters.expansion_log2 or not 1 <= n_rows <= parameters.n_slots >> expansion:
            raise ProtocolError(f"The request is malformed: {n_rows} rows at expansion {expansion} do not fit a batch.")
        n_blobs = sum(1 for _ in program.packing.groups(expansion))
        batches.append(EncryptedBatch(n_rows, expansion, blobs[start : start + n_blobs]))
        start += n_blobs
    if not batches or start != len(blobs):
        raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {start}.")
    return batches


def needed_blobs(program: CKKSProgram, plan: Schedule, batch: EncryptedBatch) -> EncryptedBatch:
    """The batch without the ciphertexts that a part of the circuit does not use."""
    used = {index for test in plan.tests_used() for index in program.tests.recipes[test].inputs}
    blobs = [
        blob if any(index in used for place in group.places for index in place) else b""
        for group, blob in zip(program.packing.groups(batch.expansion_log2), batch.blobs, strict=True)
    ]
    return EncryptedBatch(batch.n_rows, batch.expansion_log2, blobs)


def partial_sums(
    program: CKKSProgram, keys: PublicKeys, plan: Schedule, batch: EncryptedBatch, verbose: int = 0
) -> list[seal.Ciphertext | None]:
    """Leaf sums of a part of the circuit, not relinearized: one a score, None if the part adds nothing to it."""
    with SealFile() as file:
        inputs = _load_inputs(file, program, keys, batch)
    bits = EncryptedBits(keys.context, compose_bits(keys.context, plan, program.tests, inputs, keys.relin_keys))
    return CircuitEvaluator(keys, plan, bits).sums(verbose=verbose)


def answers(
    program: CKKSProgram, keys: PublicKeys, sums: Sequence[seal.Ciphertext | None], file: SealFile
) -> list[bytes]:
    """What the client gets: relinearized, and without imaginary parts (twice as large then) if pairs were used."""
    evaluator, blobs = seal.Evaluator(keys.context.seal_context), []
    for total in sums:
        if total is None:
            continue
        if total.size() > 2:
            evaluator.relinearize_inplace(total, keys.relin_keys)
        if program.packing.uses_pairs:
            conjugate = seal.Ciphertext()
            evaluator.complex_conjugate(total, keys.galois_keys, conjugate)
            evaluator.add_inplace(total, conjugate)
        blobs.append(file.dump(total))
    return blobs


def _load_inputs(
    file: SealFile, program: CKKSProgram, keys: PublicKeys, batch: EncryptedBatch
) -> dict[int, EncryptedBit]:
    """The inputs of a batch, unpacked, at the exact scales the program counts on (a message cannot set its own)."""
    context, inputs = keys.context, {}
    unpacker = Unpacker(context, keys.galois_keys) if batch.expansion_log2 else None
    for group, blob in zip(program.packing.groups(batch.expansion_log2), batch.blobs, strict=True):
        if not len(blob):
            continue
        packed = _load_ciphertext(file, context, blob, group)
        parts = unpacker.unpack(packed, len(group.places), group.level) if unpacker else [packed]
        for place, part in zip(group.places, parts, strict=True):
            part.scale = context.bit_scale(group.level)
            for position, index in enumerate(place):
                inputs[index] = EncryptedBit(part, group.level, imaginary=position == 1)
    return inputs


def _load_ciphertext(
    file: SealFile, context: CKKSContext, blob: bytes | memoryview, group: PackedGroup
) -> seal.Ciphertext:
    ciphertext = file.load(seal.Ciphertext(), context, blob, "ciphertext")
    if ciphertext.size() != 2 or ciphertext.parms_id() != context.level_ids[group.level]:
        raise ProtocolError("A ciphertext of the request has another size or level than the program expects.")
    return ciphertext
