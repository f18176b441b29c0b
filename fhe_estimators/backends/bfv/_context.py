"""Validated SEAL contexts of BFV. They know no secret: both sides use them."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import tenseal.sealapi as seal

from .parameters import PLAIN_MODULUS, BFVParameters


class BFVContext:
    """A SEAL context with its levels.

    Parameters
    ----------
    parameters : BFVParameters
        Secure by construction.

    Attributes
    ----------
    seal_context : seal.SEALContext
        Checked by SEAL against its own security table as well.
    """

    def __init__(self, parameters: BFVParameters):
        self.parameters = parameters
        settings = seal.EncryptionParameters(seal.SCHEME_TYPE.BFV)
        settings.set_poly_modulus_degree(parameters.poly_modulus_degree)
        settings.set_coeff_modulus(
            seal.CoeffModulus.Create(parameters.poly_modulus_degree, list(parameters.coeff_modulus_bits))
        )
        settings.set_plain_modulus(seal.Modulus(PLAIN_MODULUS))
        self.seal_context = seal.SEALContext(settings, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.seal_context.parameters_set():
            raise ValueError(f"SEAL refused the parameters: {self.seal_context.parameters_error_message()}")

    @property
    def first_id(self) -> Any:
        """SEAL's name of the level of fresh ciphertexts."""
        return self.seal_context.first_parms_id()

    @property
    def folding_id(self) -> Any:
        """SEAL's name of the level of two primes, at which results are summed up: rotations are cheap there."""
        return self.seal_context.last_context_data().prev_context_data().parms_id()

    @property
    def last_id(self) -> Any:
        """SEAL's name of the level of results: one prime."""
        return self.seal_context.last_parms_id()

    @cached_property
    def encoder(self) -> seal.BatchEncoder:
        """Of slots."""
        return seal.BatchEncoder(self.seal_context)

    def encode(self, slots: Any) -> seal.Plaintext:
        """A plaintext with numbers from 0 to p - 1 in its slots."""
        plain = seal.Plaintext()
        self.encoder.encode(slots.tolist(), plain)
        return plain
