"""The client's half: secrets, encryption and decryption."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ....exceptions import InsecureParametersError, ProtocolError
from .._limbs import CIPHERTEXT_LIMBS
from .._randomness import new_key, public_matrix
from ..noise import NoiseModel, WeightNorms, inverse_scales, scales_of
from ..parameters import CIPHERTEXT_BITS, KEY_BYTES, MAX_SECRETS, WORD_BITS, LWEParameters, check_download_bits
from .kernels import client_kernels
from .sampling import ternary_secret


@dataclass
class Secrets:
    """What decrypts the response to one upload: for one use, and never shown or pickled."""

    _spectra: list[torch.Tensor] | None = field(repr=False)
    scales: torch.Tensor = field(repr=False)

    def take(self) -> list[torch.Tensor]:
        """The spectra of the blocks' secrets; they are forgotten here."""
        spectra, self._spectra = self._spectra, None
        if spectra is None:
            raise RuntimeError("The secrets of this upload were used already: encrypt again.")
        return spectra

    def __getstate__(self) -> None:
        raise TypeError("Secrets cannot be pickled or copied.")


class LWEClient:
    """Encrypts activations and decrypts products. Every block of tokens is encrypted under a fresh secret.

    Parameters
    ----------
    parameters : LWEParameters
    seed : bytes, default=None
        32 bytes, public, of the matrix that all encryptions of a run share (secrets are never shared); None for fresh
        ones.
    device : torch.device or str, default="cpu"
    download_bits : {24, 16}, default=24
        Bits of a value of the responses that are asked for.

    Notes
    -----
    Samples under many secrets with one public matrix are as hard as under one, but for a factor of their number: C.
    Peikert, V. Vaikuntanathan and B. Waters, "A framework for efficient and composable oblivious transfer", CRYPTO
    2008, lemma 7.3. No attack is known that gains the whole factor; `LWEParameters.security_bits` estimates what the
    best one gains from `MAX_SECRETS` secrets, and no client makes more.
    """

    def __init__(
        self,
        parameters: LWEParameters,
        seed: bytes | None = None,
        *,
        device: torch.device | str = "cpu",
        download_bits: int = CIPHERTEXT_BITS,
    ):
        seed = new_key() if seed is None else seed
        if len(seed) != KEY_BYTES:
            raise ValueError(f"seed must have {KEY_BYTES} bytes, got {len(seed)}.")
        self.parameters = parameters
        self.seed = seed
        self.device = torch.device(device)
        self.noise = NoiseModel(parameters, check_download_bits(download_bits))
        self._kernels = client_kernels(parameters, self.device)
        self._public: torch.Tensor | None = None
        self._n_public = 0
        self._n_secrets = 0

    def prepare(self, n_inputs: int) -> None:
        """Make the spectra of the public matrix for layers of so many inputs."""
        if n_inputs > self._n_public:
            rows = public_matrix(self.seed, self.parameters, 0, n_inputs)
            self._public = self._kernels.spectra(torch.from_numpy(rows.view(np.int32)))
            self._n_public = n_inputs

    def encrypt(self, values: torch.Tensor, norms: WeightNorms) -> tuple[torch.Tensor, Secrets]:
        """Encrypt tokens for one product.

        Parameters
        ----------
        values : tensor of float32, shape (n_tokens, n_inputs)
        norms : WeightNorms
            The norms of the layer that they are for, which decide how large messages may be.

        Returns
        -------
        ciphertexts : tensor of int8, shape (n_tokens, 3, n_inputs)
            Ciphertexts: three bytes a value.
        secrets : Secrets
            The secrets that `decrypt` needs, once.

        Raises
        ------
        InsecureParametersError
            If `MAX_SECRETS` secrets were used under the public matrix.
        ValueError
            If values are not finite; nothing is encrypted then.
        """
        self._count_secrets(-(-len(values) // self.parameters.ring_degree))
        self.prepare(values.shape[1])
        assert self._public is not None
        values = values.contiguous()
        scales = scales_of(self._kernels.lengths(values), self.noise.largest_scale(norms))
        parts, spectra = [], []
        for block, block_scales in zip(*(x.split(self.parameters.ring_degree) for x in (values, scales)), strict=True):
            secret = self._kernels.secret_spectra(ternary_secret(new_key(), self.parameters))
            parts.append(self._kernels.encrypt(self._public, secret, new_key(), block, block_scales))
            spectra.append(secret)
        return parts[0] if len(parts) == 1 else torch.cat(parts), Secrets(spectra, scales)

    def _count_secrets(self, n_blocks: int) -> None:
        if self._n_secrets + n_blocks > MAX_SECRETS:
            raise InsecureParametersError(
                f"This client encrypted {self._n_secrets} blocks of tokens under one public matrix, and more than "
                f"{MAX_SECRETS} would cost too much security: compile again, which makes a new client and matrix."
            )
        self._n_secrets += n_blocks

    def hint_spectra(self, hint: torch.Tensor) -> torch.Tensor:
        """What `decrypt` needs of a worker's hint (n_outputs, rank, ring_degree): 4 bytes a coefficient."""
        shape = (self.parameters.rank, self.parameters.ring_degree)
        if hint.ndim != 3 or hint.shape[1:] != shape or hint.dtype != torch.int32:
            raise ProtocolError(
                f"A hint has shape {tuple(hint.shape)} of {hint.dtype}, expected (n_outputs, *{shape})."
            )
        return self._kernels.spectra(hint, single=True)

    def decrypt(
        self, ciphertexts: torch.Tensor, secrets: Secrets, hint_spectra: torch.Tensor, output_scales: torch.Tensor
    ) -> torch.Tensor:
        """Decrypt a product.

        Parameters
        ----------
        ciphertexts : tensor of int8, shape (n_tokens, 3 or 2, n_outputs)
            A worker's response, of 24 bits a value, or of the upper 16 where this client asks for no more.
        secrets : Secrets
            The secrets of the upload; they are used up.
        hint_spectra : tensor
            What `hint_spectra` returned for the same layer.
        output_scales : tensor of float32, shape (n_outputs,)
            Scales of the weights: an output is multiplied by its own.

        Returns
        -------
        tensor of float32, shape (n_tokens, n_outputs)
        """
        expected = (len(secrets.scales), self.noise.download_bits // 8, len(output_scales))
        exact = (expected[0], CIPHERTEXT_LIMBS, expected[2])
        if ciphertexts.shape not in (expected, exact) or ciphertexts.dtype != torch.int8:
            raise ProtocolError(
                f"A response has shape {tuple(ciphertexts.shape)} of {ciphertexts.dtype}, expected {expected} of int8."
            )
        factors = output_scales * 2.0 ** -(WORD_BITS - self.parameters.modulus_bits)
        degree = self.parameters.ring_degree
        blocks = zip(
            secrets.take(), ciphertexts.split(degree), inverse_scales(secrets.scales).split(degree), strict=True
        )
        parts = [self._kernels.decrypt(hint_spectra, secret, part, factors, scales) for secret, part, scales in blocks]
        return parts[0] if len(parts) == 1 else torch.cat(parts)
