"""The data owner's half: the only module of the engine that holds a secret key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import tenseal.sealapi as seal

from ...exceptions import ProtocolError
from ...utils import check_memory, progress_bar
from .._program import ClientSpec
from ..client import RequestRecord
from ..messages import Blob
from ..seal.client import SealClient
from ..seal.file import SealFile
from ._context import CKKSContext
from .circuit.inputs import InputTable
from .circuit.packing import PackingPlan, expansion_of_group, pack_bits, server_automorphisms
from .circuit.redundancy import rows_from_slots
from .circuit.slots import largest_expansion
from .parameters import CKKSParameters
from .sizes import seeded_ciphertext_bytes


class CKKSClient(SealClient):
    """Generates keys, encrypts comparison bits, decrypts leaf sums.

    Parameters
    ----------
    spec : ClientSpec
    verbose : int, default=0
    """

    n_public_keys = 3

    def __init__(self, spec: ClientSpec, *, verbose: int = 0):
        super().__init__(spec, verbose=verbose)
        self.parameters = CKKSParameters.from_json(spec.metadata["parameters"])
        self.inputs = InputTable.from_arrays(spec.arrays)
        self.context = CKKSContext(self.parameters)
        self.packing = PackingPlan(spec.arrays["level"], spec.arrays["role"], spec.metadata["uses_pairs"])
        self.galois_elements = server_automorphisms(
            self.parameters.poly_modulus_degree, self.parameters.expansion_log2, uses_pairs=self.packing.uses_pairs
        )
        if spec.metadata["galois_elements"] != self.galois_elements:
            raise ProtocolError("The galois_elements are malformed: keys for other automorphisms are not made.")
        #: The value of each score that does not depend on the row, else None.
        self.constants = spec.metadata["constants"]

    def _public_keys(self, generator: seal.KeyGenerator) -> Sequence[Any]:
        """Relinearization keys, Galois keys if needed, and the public key to re-randomize with."""
        relin = generator.create_relin_keys()
        galois = generator.create_galois_keys(self.galois_elements) if self.galois_elements else None
        public_key = seal.PublicKey()
        generator.create_public_key(public_key)  # Python's SEAL cannot save the seeded form, half the size
        return [relin, galois, public_key]

    def _encrypt(
        self, secret: seal.SecretKey, codes: np.ndarray, request_id: str
    ) -> tuple[dict[str, Any], Sequence[Blob]]:
        """Encrypt the results of all comparisons, batch by batch, each ciphertext seeded (half the size)."""
        n_slots = self.parameters.n_slots
        batches = [codes[start : start + n_slots] for start in range(0, len(codes), n_slots)]
        expansions = [largest_expansion(len(batch), n_slots, self.parameters.expansion_log2) for batch in batches]
        self._check_memory(expansions)
        encryptor = seal.Encryptor(self.context.seal_context, secret)
        blobs = progress_bar(
            chain.from_iterable(
                self._encrypt_batch(encryptor, *batch) for batch in zip(batches, expansions, strict=True)
            ),
            description="encrypt",
            verbose=self.verbose,
            total=sum(1 for expansion in expansions for _ in self.packing.groups(expansion)),
        )
        shapes = [[len(batch), expansion] for batch, expansion in zip(batches, expansions, strict=True)]
        return {"batches": shapes}, list(blobs)

    def _check_memory(self, expansions: list[int]) -> None:
        """Refuse a request that would not fit: its ciphertexts, and the message that is made of them."""
        upload_bytes = {
            expansion: sum(seeded_ciphertext_bytes(self.parameters, g.level) for g in self.packing.groups(expansion))
            for expansion in set(expansions)
        }
        check_memory(
            2 * sum(upload_bytes[expansion] for expansion in expansions),
            self.memory_budget_bytes,
            "Encrypting these rows",
            "Encrypt fewer rows at a time.",
        )

    def _encrypt_batch(self, encryptor: seal.Encryptor, codes: np.ndarray, expansion: int) -> Iterator[bytes]:
        """The ciphertexts of up to ``N / 2 ** (expansion + 1)`` rows, serialized."""
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

    def rounding_errors(self, response: bytes, request: bytes | None = None) -> np.ndarray:
        """What `decrypt` rounds away, in integer steps, shape (n_samples, n_scores): the noise of the whole evaluation.

        It depends on the secret key: show it to nobody who could use that.
        """
        values, integers = self._opened(response, request, self._decrypt_rows)
        return values - integers

    def _read_response(self, request: RequestRecord, blobs: Sequence[memoryview]) -> list[seal.Ciphertext]:
        n_expected = len(request.shape["batches"]) * self.constants.count(None)
        if len(blobs) != n_expected:
            raise ProtocolError(
                f"The response holds {len(blobs)} ciphertexts; one a batch and score would be {n_expected}. If the "
                "client's archive is older than the server's, write it again with save_client()."
            )
        return self._read_ciphertexts(blobs)

    def _check_ciphertext(self, ciphertext: seal.Ciphertext) -> None:
        if ciphertext.size() != 2 or ciphertext.parms_id() != self.context.level_ids[1]:
            raise ProtocolError("A ciphertext of the response has another size or level than the program's.")
        if not ciphertext.is_ntt_form() or ciphertext.is_transparent():
            raise ProtocolError("A ciphertext of the response is none that an evaluation gives: it hides nothing.")

    def _decrypt(
        self, secret: seal.SecretKey, request: RequestRecord, ciphertexts: list[seal.Ciphertext]
    ) -> np.ndarray:
        return self._decrypt_rows(secret, request, ciphertexts)[1].astype(np.int64)

    def _decrypt_rows(
        self, secret: seal.SecretKey, request: RequestRecord, ciphertexts: list[seal.Ciphertext]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Leaf sums before and after rounding, two float64 arrays of shape (n_samples, n_scores)."""
        decryptor = seal.Decryptor(self.context.seal_context, secret)
        encoder = seal.CKKSEncoder(self.context.seal_context)
        rest, batches = iter(ciphertexts), []
        for n_rows, expansion in request.shape["batches"]:
            batch = np.empty((2, n_rows, len(self.constants)))
            for score, constant in enumerate(self.constants):
                if constant is None:
                    slots = self._decrypt_slots(decryptor, encoder, next(rest))
                    batch[..., score] = rows_from_slots(slots, n_rows, expansion, self.parameters.score_bits)
                else:
                    batch[..., score] = constant
            batches.append(batch)
        values, integers = np.concatenate(batches, axis=1)
        return values, integers

    def _decrypt_slots(
        self, decryptor: seal.Decryptor, encoder: seal.CKKSEncoder, ciphertext: seal.Ciphertext
    ) -> np.ndarray:
        """All N/2 slots before rounding, complex128; they never leave the client."""
        plain = seal.Plaintext()
        ciphertext.scale = self.context.bit_scale(1) ** 2 * (2 if self.packing.uses_pairs else 1)  # whatever it says
        decryptor.decrypt(ciphertext, plain)
        return np.array(encoder.decode_complex(plain))
