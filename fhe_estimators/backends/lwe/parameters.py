"""Parameter sets of the `lwe` engine, checked against the security table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from ...exceptions import InsecureParametersError, ProtocolError
from .._security import check_ring_security, security_bits

#: A value of noise is the number of ones among so many random bits, less its mean: the centred binomial distribution
#: with eta = 21, of the smallest deviation that is no less than that of the security table (3.19).
NOISE_BITS = 42
#: Standard deviation of the noise: the square root of eta / 2.
NOISE_STANDARD_DEVIATION = math.sqrt(NOISE_BITS) / 2
#: Largest absolute value of the noise.
LARGEST_NOISE = NOISE_BITS // 2
#: All arithmetic is modulo 2^32; a smaller modulus lives in the upper bits (see `LWEParameters.shift_bits`).
WORD_BITS = 32
#: Bits of a value of a ciphertext as it is sent: three bytes, which are three int8 limbs for the worker.
CIPHERTEXT_BITS = 24
#: Bits of a value of a response that a client may ask for: all, or two bytes, without the lowest limb.
DOWNLOAD_BITS = (16, CIPHERTEXT_BITS)
#: Bytes of seeds and keys.
KEY_BYTES = 32
#: Secrets, one a block of tokens, that may share one public matrix: their number costs some bits of security.
MAX_SECRETS = 1 << 30


@dataclass(frozen=True)
class LWEParameters:
    """Module-LWE over ``Z_q[X] / (X^d + 1)`` with ``q`` a power of two.

    Parameters
    ----------
    dimension : int
        Dimension n of the secret. The security depends on it and on ``modulus_bits``.
    modulus_bits : int
        Bits of the modulus q, at most 32.
    ring_degree : int
        Degree d of the ring, a power of two that divides ``dimension``: tokens that one secret
        encrypts. The module has rank ``dimension / ring_degree``; 1 is the cheapest.

    Raises
    ------
    InsecureParametersError
        If the parameters are below 128-bit security.

    Notes
    -----
    The security of module-LWE is estimated, as usual, as that of ring-LWE in the dimension n: A. Langlois and
    D. Stehle, "Worst-case to average-case reductions for module lattices", Designs, Codes and Cryptography 75, 2015.
    That of many secrets under one public matrix is that of whichever falls most easily; see `security_bits`.
    """

    dimension: int
    modulus_bits: int
    ring_degree: int

    def __post_init__(self) -> None:
        check_ring_security(self.dimension, self.modulus_bits)
        self._check_shape()

    def _check_shape(self) -> None:
        if not CIPHERTEXT_BITS <= self.modulus_bits <= WORD_BITS:
            raise InsecureParametersError(
                f"modulus_bits={self.modulus_bits} must be from {CIPHERTEXT_BITS} to {WORD_BITS}."
            )
        degree = self.ring_degree
        if degree < 2 or degree & (degree - 1) or degree > self.dimension or self.dimension % degree:
            raise ValueError(
                f"ring_degree={degree} must be a power of two from 2 to dimension={self.dimension} and divide it."
            )

    @property
    def security_bits(self) -> float:
        """Estimated security of `MAX_SECRETS` secrets under one public matrix, of which an attacker wants any one.

        What is sent is rounded to 24 bits, which hides as noise does: the worker never sees more.
        """
        unit = 2.0 ** (self.modulus_bits - CIPHERTEXT_BITS)
        noise_std = math.hypot(NOISE_STANDARD_DEVIATION, unit / math.sqrt(12) if unit > 1 else 0.0)
        return security_bits(self.dimension, self.modulus_bits, noise_std, "ternary", MAX_SECRETS)

    @property
    def rank(self) -> int:
        """Rank of the module: polynomials in a secret."""
        return self.dimension // self.ring_degree

    @property
    def shift_bits(self) -> int:
        """Integers modulo q are kept times ``2 ** shift_bits``, so that machine words wrap as q does."""
        return WORD_BITS - self.modulus_bits

    def to_dict(self) -> dict[str, Any]:
        """As JSON-compatible values, for messages.

        Returns
        -------
        values : dict of str to int
            The parameters by name.
        """
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> LWEParameters:
        """From a message: one of the `PARAMETER_SETS`, with any ring degree.

        Parameters
        ----------
        values : dict of str to int
            The values that `to_dict` returned.

        Returns
        -------
        parameters : LWEParameters
            The parameter set, which is at least 128-bit secure.

        Raises
        ------
        InsecureParametersError
            If they are not.
        ProtocolError
            If a parameter is missing, or no integer, or they are no set of this version.
        """
        try:
            numbers = {name: values[name] for name in ("dimension", "modulus_bits", "ring_degree")}
        except (KeyError, TypeError) as error:
            raise ProtocolError("The message has no valid LWE parameters.") from error
        if any(not isinstance(number, int) or isinstance(number, bool) for number in numbers.values()):
            raise ProtocolError(f"The LWE parameters {numbers} are not integers.")
        try:
            parameters = cls(**numbers)
        except InsecureParametersError:
            raise
        except ValueError as error:
            raise ProtocolError(f"The message has no valid LWE parameters: {error}") from error
        if (parameters.dimension, parameters.modulus_bits) not in PARAMETER_SETS.values():
            raise ProtocolError(f"The LWE parameters {numbers} are no set that this version uses.")
        return parameters


def check_download_bits(download_bits: Any) -> int:
    """Bits of a value of a response, one of `DOWNLOAD_BITS`, or a ValueError."""
    if isinstance(download_bits, bool) or download_bits not in DOWNLOAD_BITS:
        raise ValueError(f"download_bits={download_bits!r} is unknown: use one of {DOWNLOAD_BITS}.")
    return int(download_bits)


#: Dimension and modulus bits by name. "fast" halves the client's transforms and the hints.
PARAMETER_SETS = {"fast": (1024, 26), "precise": (2048, 32)}


def select_parameters(n_tokens: int, *, name: str = "fast") -> LWEParameters:
    """Parameter set for batches of so many tokens.

    Parameters
    ----------
    n_tokens : int
        Tokens of a usual batch. More are encrypted in blocks, each under a secret of its own.
    name : str, default="fast"
        Key of `PARAMETER_SETS`.

    Returns
    -------
    parameters : LWEParameters
        The parameter set, which is at least 128-bit secure.
    """
    if name not in PARAMETER_SETS:
        raise ValueError(f"parameters={name!r} is unknown: use one of {sorted(PARAMETER_SETS)}.")
    dimension, modulus_bits = PARAMETER_SETS[name]
    degree = 1 << max(1, n_tokens - 1).bit_length()
    return LWEParameters(dimension, modulus_bits, min(dimension, max(degree, 2)))
