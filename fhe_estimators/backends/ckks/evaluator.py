"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tenseal.sealapi as seal
from joblib import Parallel, delayed

from ...exceptions import KeyMismatchError, ProtocolError
from ...utils import progress_bar
from .._base import Evaluator
from .._messages import pack_message, unpack_message
from ._bits import EncryptedBit, EncryptedBits
from ._compose import compose_bits
from ._context import CKKSContext, SealFile
from ._evaluation import CircuitEvaluator, EvaluationKeys
from ._packing import PackedGroup
from ._unpacking import Unpacker
from .program import CKKSProgram


@dataclass(frozen=True)
class EncryptedBatch:
    """One batch of a request: up to ``N / 2 ** (expansion_log2 + 1)`` rows."""

    n_rows: int
    expansion_log2: int
    blobs: list[bytes]


class CKKSEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : CKKSProgram
    n_jobs : int, default=None
        Processes over the batches of a request (joblib).
    verbose : int, default=0
    """

    program: CKKSProgram

    def __init__(self, program: CKKSProgram, *, n_jobs: int | None = None, verbose: int = 0):
        super().__init__(program, n_jobs=n_jobs, verbose=verbose)
        self._key_cache: tuple[bytes, _PublicKeys] | None = None

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response, both with the header of the client's keys.

        Raises
        ------
        ProtocolError
            If a message is malformed, truncated or made for other parameters.
        KeyMismatchError
            If request, keys and program do not belong together.
        """
        header, blobs = unpack_message("request", request)
        keys = self._parse_keys(evaluation_keys)
        for name, theirs in (("program_id", self.program.program_id), ("key_id", keys.key_id)):
            if header.get(name) != theirs:
                what = "another model" if name == "program_id" else "other keys than the evaluation keys at hand"
                raise KeyMismatchError(f"The request was encrypted for {what} ({name} differs).")
        batches = _split_batches(header, blobs, self.program)
        answers = self._evaluate(batches, evaluation_keys, keys)
        reply = {
            "program_id": self.program.program_id,
            "key_id": keys.key_id,
            "batches": [[batch.n_rows, batch.expansion_log2] for batch in batches],
            "constants": self.program.schedule.constants,
        }
        return pack_message("response", reply, [blob for answer in answers for blob in answer])

    def _evaluate(self, batches: list[EncryptedBatch], message: bytes, keys: _PublicKeys) -> list[list[bytes]]:
        if len(batches) == 1:
            return [_evaluate_batch(self.program, keys, batches[0], verbose=self.verbose)]
        if self.n_jobs in (None, 1):
            bar = progress_bar(batches, description="evaluate", verbose=self.verbose)
            return [_evaluate_batch(self.program, keys, batch) for batch in bar]
        results = Parallel(n_jobs=self.n_jobs, return_as="generator")(
            delayed(_evaluate_batch_in_worker)(self.program, message, batch) for batch in batches
        )
        return list(progress_bar(results, description="evaluate", verbose=self.verbose, total=len(batches)))

    def _parse_keys(self, message: bytes) -> _PublicKeys:
        """Evaluation keys as SEAL objects; the last ones are kept, since a client sends many requests."""
        if self._key_cache is None or self._key_cache[0] != message:
            self._key_cache = message, _PublicKeys(self.program, message)
        return self._key_cache[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}


class _PublicKeys:
    """Parsed evaluation keys and the context they live in."""

    def __init__(self, program: CKKSProgram, message: bytes):
        header, blobs = unpack_message("evaluation_keys", message)
        if header.get("program_id") != program.program_id:
            raise KeyMismatchError("The evaluation keys were generated for another model (program_id differs).")
        if len(blobs) != 2 or not isinstance(header.get("key_id"), str):
            raise ProtocolError("The evaluation keys are malformed.")
        self.key_id: str = header["key_id"]
        self.context = CKKSContext(program.parameters)
        with SealFile() as file:
            self.relin_keys = file.load(seal.RelinKeys(), self.context, blobs[0], "relinearization key")
            self.galois_keys = None
            if program.galois_elements:
                self.galois_keys = file.load(seal.GaloisKeys(), self.context, blobs[1], "Galois keys")


def _split_batches(header: dict[str, Any], blobs: list[memoryview], program: CKKSProgram) -> list[EncryptedBatch]:
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
        batches.append(EncryptedBatch(n_rows, expansion, [bytes(blob) for blob in blobs[start : start + n_blobs]]))
        start += n_blobs
    if not batches or start != len(blobs):
        raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {start}.")
    return batches


def _evaluate_batch(program: CKKSProgram, keys: _PublicKeys, batch: EncryptedBatch, verbose: int = 0) -> list[bytes]:
    """Encrypted leaf sums of one batch: a blob for each score that is not constant."""
    plan, context = program.schedule, keys.context
    with SealFile() as file:
        inputs = _load_inputs(file, program, keys, batch)
        bits = EncryptedBits(context, compose_bits(context, plan, program.tests, inputs, keys.relin_keys))
        circuit = CircuitEvaluator(context, plan, bits, EvaluationKeys(keys.relin_keys, keys.galois_keys))
        clear_imaginary = program.packing.uses_pairs
        answers = circuit.evaluate(clear_imaginary=clear_imaginary, verbose=verbose)
        return [file.dump(answer) for answer in answers]


def _load_inputs(
    file: SealFile, program: CKKSProgram, keys: _PublicKeys, batch: EncryptedBatch
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


_worker_evaluator: CKKSEvaluator | None = None


def _evaluate_batch_in_worker(program: CKKSProgram, evaluation_keys: bytes, batch: EncryptedBatch) -> list[bytes]:
    """Run by joblib's processes, each of which parses a client's keys once."""
    global _worker_evaluator
    if _worker_evaluator is None or _worker_evaluator.program.program_id != program.program_id:
        _worker_evaluator = CKKSEvaluator(program)
    return _evaluate_batch(_worker_evaluator.program, _worker_evaluator._parse_keys(evaluation_keys), batch)
