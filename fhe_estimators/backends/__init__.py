"""Encryption engines behind one contract."""

from ._base import Backend, Client, Evaluator
from ._program import ClientSpec, Program
from ._registry import available_backends, resolve_backend
from ._security import (
    MAX_COEFF_MODULUS_BITS,
    SECURITY_BITS,
    check_lwe_security,
    check_ring_security,
    security_bits,
)

__all__ = [
    "MAX_COEFF_MODULUS_BITS",
    "SECURITY_BITS",
    "Backend",
    "Client",
    "ClientSpec",
    "Evaluator",
    "Program",
    "available_backends",
    "check_lwe_security",
    "check_ring_security",
    "resolve_backend",
    "security_bits",
]
