"""The server's half: encrypted bits in, encrypted leaf sums out."""

from __future__ import annotations

from typing import Any

import tenseal.sealapi as seal

from ....exceptions import ProtocolError
from ....utils import progress_bar
from ..._base import Evaluator
from ...messages import pack_message, read_n_rows, response_header, unpack_message
from ...seal_file import SealFile
from ..program import BFVProgram
from ..sizes import plaintext_bytes
from .evaluation_keys import PublicKeys
from .leaf_sums import LeafSums
from .linear import CostEvaluator
from .plaintexts import PlaintextCache
from .zero_test import ZeroTestEvaluator


class BFVEvaluator(Evaluator):
    """Evaluates a program on encrypted requests. Needs evaluation keys only; learns nothing of the rows.

    Parameters
    ----------
    program : BFVProgram
        Compiled.
    n_jobs : int, default=None
        Not used: a batch is evaluated in this process.
    verbose : int, default=0
        Progress bars if positive.
    rerandomize : bool, default=False
        Not offered.
    """

    program: BFVProgram

    def __init__(self, program: BFVProgram, **options: Any):
        super().__init__(program, **options)
        self._key_cache: tuple[bytes, PublicKeys] | None = None
        self._plaintexts = PlaintextCache(plaintext_bytes(program.parameters))

    def run(self, request: bytes, evaluation_keys: bytes) -> bytes:
        """Encrypted request to encrypted response.

        Raises
        ------
        ProtocolError
            If a message is malformed, truncated or made for other parameters.
        KeyMismatchError
            If request, keys and program do not belong together.
        """
        header, blobs = unpack_message("request", request)
        keys = self._parse_keys(evaluation_keys)
        reply = response_header(header, keys.header, self.program.program_id)
        n_rows = read_n_rows("request", header)
        layout = self.program.layout(n_rows)
        n_batches = -(-n_rows // layout.n_samples)
        if len(blobs) != n_batches:
            raise ProtocolError(f"The request has {len(blobs)} ciphertexts, expected {n_batches}.")
        results: list[bytes] = []
        if self.program.n_outputs:
            costs = CostEvaluator(self.program, keys, layout, self._plaintexts)
            with SealFile() as file:
                for blob in blobs:
                    results += self._evaluate(file, keys, costs, blob)
        return pack_message("response", reply, results)

    def _evaluate(self, file: SealFile, keys: PublicKeys, costs: CostEvaluator, blob: memoryview) -> list[bytes]:
        """A blob for each output of the program."""
        bits = file.load(seal.Ciphertext(), keys.context, blob, "ciphertext")
        if bits.size() != 2 or bits.parms_id() != keys.context.first_id or bits.is_ntt_form():
            raise ProtocolError("A ciphertext of the request has another size or level than the program expects.")
        rotated = costs.rotated_bits(bits)
        zero_test, sums = ZeroTestEvaluator(self.program, keys), LeafSums(self.program, keys, costs.layout)
        blocks = range(self.program.n_blocks)
        for block in progress_bar(blocks, description="evaluate", verbose=self.verbose):
            sums.add(zero_test.indicators(costs.costs(rotated, block)), block)
        return [file.dump(result) for result in sums.results()]

    def _parse_keys(self, message: bytes) -> PublicKeys:
        """Evaluation keys as SEAL objects; the last ones are kept, since a client sends many requests."""
        cached = self._key_cache  # read once: another thread may replace it
        if cached is None or cached[0] != message:
            cached = self._key_cache = message, PublicKeys(self.program, message)
        return cached[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_key_cache": None}
