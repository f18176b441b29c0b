"""The data owner's half: the only module of the engine that holds a secret key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from ...exceptions import DecryptionError, ProtocolError
from .._program import ClientSpec
from .._security import check_galois_elements
from ..client import RequestRecord
from ..messages import Blob
from ..seal.client import SealClient
from ..seal.file import SealFile
from ._context import BFVContext
from .circuit.boxes import BitTable
from .circuit.digits import joined_digits
from .circuit.layout import Layout, layout_for
from .circuit.routing import RoutedInput, layout_of_windows
from .parameters import LEAST_MARGIN_BITS, PLAIN_MODULUS, BFVParameters

_NO_SUM = (
    "The decrypted response is no sum of leaves: it was computed under other keys, by another program, for another "
    "request, or was altered on the way."
)


class BFVClient(SealClient):
    """Generates keys, encrypts thermometer bits, decrypts sums of leaves.

    Parameters
    ----------
    spec : ClientSpec
        What a client must know of a program.
    verbose : int, default=0
        Progress bars if positive.
    """

    n_public_keys = 2

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self.parameters = BFVParameters.from_json(spec.metadata["parameters"])
        self.galois_elements = check_galois_elements(
            spec.metadata["galois_elements"], self.parameters.poly_modulus_degree
        )
        self.context = BFVContext(self.parameters)
        self.bits = BitTable(spec.arrays["feature"], spec.arrays["threshold"])
        self.score_bounds = _score_bounds(spec.metadata)

    def _public_keys(self, generator: seal.KeyGenerator) -> Sequence[Any]:
        return [generator.create_relin_keys(), generator.create_galois_keys(self.galois_elements)]

    def _layout(self, n_rows: int) -> Layout | RoutedInput:
        metadata = self.spec.metadata
        if metadata["window"] is not None:
            return RoutedInput(self.parameters.poly_modulus_degree, len(self.bits))
        return layout_for(self.parameters.poly_modulus_degree, len(self.bits), metadata["n_leaves"], max(1, n_rows))

    def _result_layout(self, n_rows: int) -> Layout:
        layout = self._layout(n_rows)
        if isinstance(layout, Layout):
            return layout
        return layout_of_windows(self.parameters.poly_modulus_degree, self.spec.metadata["window"])

    def _encrypt(
        self, secret: seal.SecretKey, codes: np.ndarray, request_id: str
    ) -> tuple[dict[str, Any], Sequence[Blob]]:
        """Seeded ciphertexts of the thermometer bits, one or a few a batch of rows."""
        layout = self._layout(len(codes))
        encryptor = seal.Encryptor(self.context.seal_context, secret)
        blobs = []
        with SealFile() as file:
            for start in range(0, len(codes), layout.n_samples):
                for slots in layout.inputs(self.bits.bits(codes[start : start + layout.n_samples])):
                    blobs.append(file.dump(encryptor.encrypt_symmetric(self.context.encode(slots))))
        return {"n_rows": len(codes)}, blobs

    def _read_response(self, request: RequestRecord, blobs: Sequence[memoryview]) -> list[seal.Ciphertext]:
        n_batches = -(-request.shape["n_rows"] // self._layout(request.shape["n_rows"]).n_samples)
        n_expected = n_batches * (len(self.spec.metadata["outputs"]) + 1 if self.spec.metadata["n_leaves"] else 0)
        if len(blobs) != n_expected:
            raise ProtocolError(f"The response holds {len(blobs)} ciphertexts; {n_expected} belong to the request.")
        return self._read_ciphertexts(blobs)

    def _check_ciphertext(self, ciphertext: seal.Ciphertext) -> None:
        if ciphertext.size() != 2 or ciphertext.parms_id() != self.context.last_id or ciphertext.is_ntt_form():
            raise ProtocolError("A ciphertext of the response has another size or level than the program's.")
        if ciphertext.is_transparent():
            raise ProtocolError("A ciphertext of the response is none that an evaluation gives: it encrypts nothing.")

    def _decrypt(
        self, secret: seal.SecretKey, request: RequestRecord, ciphertexts: list[seal.Ciphertext]
    ) -> np.ndarray:
        n_rows, metadata = request.shape["n_rows"], self.spec.metadata
        layout, constants = self._result_layout(n_rows), np.array(metadata["constants"], dtype=np.int64)
        outputs = [tuple(output) for output in metadata["outputs"]]
        digits = np.zeros((n_rows, len(constants), 1 + max((digit for _, digit in outputs), default=0)), np.int64)
        rest = iter(ciphertexts)
        decryptor = seal.Decryptor(self.context.seal_context, secret)
        for start in range(0, n_rows, layout.n_samples):
            rows = slice(start, min(start + layout.n_samples, n_rows))
            for score, digit in outputs:
                sums = self._sums(decryptor, next(rest), layout)
                digits[rows, score, digit] = sums[: rows.stop - start]
                if not np.array_equal(sums, np.resize(digits[rows, score, digit], len(sums))):
                    raise DecryptionError(_NO_SUM)  # copies of a row have different scores
            if metadata["n_leaves"] and (self._sums(decryptor, next(rest), layout) != 1).any():
                raise DecryptionError(_NO_SUM)
        digits[digits > PLAIN_MODULUS // 2] -= PLAIN_MODULUS
        scores = constants + joined_digits(digits, metadata["digit_bits"])
        low, high = self.score_bounds
        if ((scores < low) | (scores > high)).any():
            raise DecryptionError(_NO_SUM)  # no leaves of the program add up to this
        return scores

    def _sums(self, decryptor: seal.Decryptor, ciphertext: seal.Ciphertext, layout: Layout) -> np.ndarray:
        """Sums of a result modulo p, shape (layout.n_samples,).

        All positions of a lane have the same value in a result. What a server makes of the secret key without knowing
        it does not, so no score shows anything of it.
        """
        if decryptor.invariant_noise_budget(ciphertext) < LEAST_MARGIN_BITS:
            raise DecryptionError(_NO_SUM)
        plain = seal.Plaintext()
        decryptor.decrypt(ciphertext, plain)
        slots = np.array(self.context.encoder.decode_uint64(plain), dtype=np.int64)
        of_lanes = slots.reshape(2, layout.n_in, -1)
        if (of_lanes != of_lanes[:, :1]).any():
            raise DecryptionError(_NO_SUM)
        return layout.sum_by_sample(of_lanes[:, 0].ravel(), PLAIN_MODULUS)


def _score_bounds(metadata: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest sums of leaves, of a spec, each of shape (n_scores,)."""
    bounds, n_scores = metadata.get("score_bounds"), len(metadata["constants"])
    if not isinstance(bounds, list) or len(bounds) != n_scores:
        raise ProtocolError("The score_bounds are malformed: a client needs the range of each score.")
    if not all(isinstance(pair, list) and [type(bound) for bound in pair] == [int, int] for pair in bounds):
        raise ProtocolError("The score_bounds are malformed: a range is two integers.")
    low, high = np.array(bounds, dtype=np.int64).reshape(n_scores, 2).T
    return low, high
