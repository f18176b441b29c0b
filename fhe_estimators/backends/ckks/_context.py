"""Validated SEAL contexts. They know no secret: both sides use them."""

from __future__ import annotations

from typing import Any

import tenseal.sealapi as seal

from .parameters import CKKSParameters


class CKKSContext:
    """A validated SEAL context with its moduli by level.

    Parameters
    ----------
    parameters : CKKSParameters

    Attributes
    ----------
    seal_context : seal.SEALContext
    level_ids : dict of int to parms_id
        SEAL's name for each level.
    primes : dict of int to int
        Rescaling prime of each level from 2 up.
    scales : dict of int to float
        Scale of factors at each level: ``beta_l`` of `circuit.levels`.
    """

    def __init__(self, parameters: CKKSParameters):
        self.parameters = parameters
        settings = seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
        settings.set_poly_modulus_degree(parameters.poly_modulus_degree)
        moduli = seal.CoeffModulus.Create(parameters.poly_modulus_degree, list(parameters.coeff_modulus_bits))
        settings.set_coeff_modulus(moduli)
        self.seal_context = seal.SEALContext(settings, True, seal.SEC_LEVEL_TYPE.TC128)
        if not self.seal_context.parameters_set():
            raise ValueError(f"SEAL refused the parameters: {self.seal_context.parameter_error_message()}")
        n_base = len(parameters.base_bits)
        self.primes = {level: moduli[n_base + level - 2].value() for level in range(2, parameters.n_levels + 1)}
        self.level_ids: dict[int, Any] = {}
        data = self.seal_context.first_context_data()
        for level in range(parameters.n_levels, 0, -1):
            self.level_ids[level] = data.parms_id()
            data = data.next_context_data()
        top = parameters.n_levels
        self.scales = {top: float(self.primes[top]) if top > 1 else 2.0**parameters.prime_bits}
        for level in range(top - 1, 0, -1):
            self.scales[level] = self.scales[level + 1] * (self.scales[level + 1] / self.primes[level + 1])

    def bit_scale(self, level: int) -> float:
        """Scale of factors at a level."""
        return self.scales[level]
