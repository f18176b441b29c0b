"""The data owner's half: the only module of the engine that holds a secret key."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from ...exceptions import DecryptionError, FHEError, KeyMismatchError, ProtocolError
from ...utils import progress_bar
from .._base import Client, ClientSpec
from ..messages import pack_message, unpack_client_keys, unpack_message
from ._context import CKKSContext
from .circuit.inputs import InputTable
from .circuit.packing import PackingPlan, expansion_of_group, largest_expansion, pack_bits, rows_from_slots
from .parameters import CKKSParameters
from .seal_file import SealFile

#: A decrypted leaf sum further than this from an integer was not computed by the program.
_INTEGER_TOLERANCE = 0.25


class CKKSClient(Client):
    """Generates keys, encrypts comparison bits, decrypts leaf sums.

    SEAL draws every secret and all noise from its Blake2 generator, seeded by the operating system.

    Parameters
    ----------
    spec : ClientSpec
    verbose : int, default=0
    """

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self.parameters = CKKSParameters.from_json(spec.metadata["parameters"])
        self.inputs = InputTable.from_arrays(spec.arrays)
        self.context = CKKSContext(self.parameters)
        self.packing = PackingPlan(spec.arrays["level"], spec.arrays["role"], spec.metadata["uses_pairs"])
        self._secret_key: seal.SecretKey | None = None
        self._key_id = ""
        self._evaluation_keys = b""

    def generate_keys(self) -> bytes:
        """Make fresh keys and return the evaluation keys: relinearization and, if needed, Galois keys."""
        generator = seal.KeyGenerator(self.context.seal_context)
        self._secret_key = generator.secret_key()
        self._key_id = os.urandom(16).hex()
        elements = self.spec.metadata["galois_elements"]
        with SealFile() as file:
            relin = file.dump(generator.create_relin_keys())
            galois = file.dump(generator.create_galois_keys(elements)) if elements else b""
        self._evaluation_keys = pack_message("evaluation_keys", self._header(), [relin, galois])
        return self._evaluation_keys

    @property
    def evaluation_keys(self) -> bytes:
        self._require_keys()
        return self._evaluation_keys

    def export_keys(self) -> bytes:
        with SealFile(secret=True) as file:
            secret = file.dump(self._require_keys())
        return pack_message("client_keys", self._header(), [secret, self._evaluation_keys])

    def import_keys(self, keys: bytes) -> None:
        key_id, (secret, evaluation_keys) = unpack_client_keys(keys, self.spec.program_id, n_blobs=2)
        with SealFile(secret=True) as file:
            self._secret_key = file.load(seal.SecretKey(), self.context, secret, "secret key")
        self._key_id, self._evaluation_keys = key_id, bytes(evaluation_keys)

    def _require_keys(self) -> seal.SecretKey:
        if self._secret_key is None:
            raise FHEError("This client has no keys yet: call generate_keys() first.")
        return self._secret_key

    def _header(self) -> dict[str, Any]:
        return {"program_id": self.spec.program_id, "key_id": self._key_id}

    def encrypt(self, codes: np.ndarray) -> bytes:
        """Encrypt the results of all comparisons, batch by batch, each ciphertext seeded (half the size)."""
        self._require_keys()
        n_slots = self.parameters.n_slots
        batches = [codes[start : start + n_slots] for start in range(0, len(codes), n_slots)]
        expansions = [largest_expansion(len(batch), n_slots, self.parameters.expansion_log2) for batch in batches]
        blobs = progress_bar(
            chain.from_iterable(map(self._encrypt_batch, batches, expansions)),
            description="encrypt",
            verbose=self.verbose,
            total=sum(1 for expansion in expansions for _ in self.packing.groups(expansion)),
        )
        shapes = [[len(batch), expansion] for batch, expansion in zip(batches, expansions, strict=True)]
        return pack_message("request", {**self._header(), "batches": shapes}, list(blobs))

    def _encrypt_batch(self, codes: np.ndarray, expansion: int) -> Iterator[bytes]:
        """The ciphertexts of up to ``N / 2 ** (expansion + 1)`` rows, serialized."""
        encryptor = seal.Encryptor(self.context.seal_context, self._require_keys())
        encoder = seal.CKKSEncoder(self.context.seal_context)
        bits = self.inputs.bits(codes)
        with SealFile() as file:
            for group in self.packing.groups(expansion):
                slots = pack_bits(bits, group, expansion, self.parameters.poly_modulus_degree)
                scale = self.context.bit_scale(group.level)
                if expansion:  # every round of unpacking doubles
                    scale /= 2 ** expansion_of_group(len(group.places))
                plain = seal.Plaintext()
                encoder.encode(slots.tolist(), self.context.level_ids[group.level], scale, plain)
                yield file.dump(encryptor.encrypt_symmetric(plain))

    def decrypt(self, response: bytes) -> np.ndarray:
        """Decrypt and round leaf sums.

        Raises
        ------
        KeyMismatchError
            If the response was computed for another model or under other keys.
        DecryptionError
            If what was decrypted is not what a correct evaluation gives.
        """
        return self._decrypted(response, lambda values, integers: integers).astype(np.int64)

    def rounding_errors(self, response: bytes) -> np.ndarray:
        """What `decrypt` rounds away, in integer steps, shape (n_rows, n_scores): the noise of the whole evaluation.

        It depends on the secret key: show it to nobody who could use that.
        """
        return self._decrypted(response, np.subtract)

    def _decrypted(self, response: bytes, of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
        """A function of values and integers, float64, shape (n_rows, n_scores)."""
        header, blobs = unpack_message("response", response)
        decryptor = seal.Decryptor(self.context.seal_context, self._require_keys())
        for name, mine in self._header().items():
            if header.get(name) != mine:
                raise KeyMismatchError(f"The response belongs to another model or other keys ({name} differs).")
        constants, batches = self._answer_shape(header, len(blobs))
        rest = iter(blobs)
        with SealFile() as file:
            parts = [self._decrypt_batch(file, decryptor, rest, constants, of, *batch) for batch in batches]
        return np.concatenate(parts)

    def _answer_shape(self, header: dict[str, Any], n_blobs: int) -> tuple[list[int | None], list[tuple[int, int]]]:
        try:
            constants = [None if c is None else int(c) for c in header["constants"]]
            batches = [(int(n_rows), int(expansion)) for n_rows, expansion in header["batches"]]
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError("The response is malformed.") from error
        fits = all(0 <= k <= 20 and 1 <= n <= self.parameters.n_slots >> k for n, k in batches)
        n_responses = len(batches) * constants.count(None)
        if not batches or not fits or len(constants) != self.spec.metadata["n_scores"] or n_responses != n_blobs:
            raise ProtocolError("The response is malformed: its responses do not have the shape of the request.")
        return constants, batches

    def _decrypt_batch(
        self,
        file: SealFile,
        decryptor: seal.Decryptor,
        blobs: Any,
        constants: list[int | None],
        of: Callable[[np.ndarray, np.ndarray], np.ndarray],
        n_rows: int,
        expansion: int,
    ) -> np.ndarray:
        columns = np.empty((n_rows, len(constants)))
        for score, constant in enumerate(constants):
            if constant is None:
                values = self._decrypt_values(file, decryptor, next(blobs), expansion)
                columns[:, score] = of(values, self._rounded(values))[:n_rows]
            else:
                columns[:, score] = of(np.array(constant), np.array(constant))
        return columns

    def _decrypt_values(
        self, file: SealFile, decryptor: seal.Decryptor, blob: memoryview, expansion: int
    ) -> np.ndarray:
        """Leaf sums of a batch before rounding, float64; never leaves the client."""
        ciphertext = file.load(seal.Ciphertext(), self.context, blob, "response")
        if ciphertext.parms_id() != self.context.level_ids[1]:
            raise ProtocolError("A response of the response is at an unexpected level.")
        ciphertext.scale = self.context.bit_scale(1) ** 2 * (2 if self.packing.uses_pairs else 1)
        plain = seal.Plaintext()
        decryptor.decrypt(ciphertext, plain)
        slots = np.array(seal.CKKSEncoder(self.context.seal_context).decode_double(plain))
        return rows_from_slots(slots, expansion)

    def _rounded(self, values: np.ndarray) -> np.ndarray:
        """Integers of all places of a batch; those without a row hold integers as well."""
        integers = np.rint(values)
        off = np.abs(values - integers).max()
        if off > _INTEGER_TOLERANCE or np.abs(integers).max() > 2.0**self.parameters.score_bits:
            raise DecryptionError(
                "The decrypted response is no sum of leaves: it was computed under other keys, by another program, or "
                "was altered on the way. Send the request again, with this client's evaluation_keys."
            )
        return integers
