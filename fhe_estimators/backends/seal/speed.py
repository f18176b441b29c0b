"""How fast SEAL's number theoretic transforms are on this machine: the unit of predicted costs."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from time import perf_counter

from ...utils import import_optional

#: Of a coefficient of a key for one prime: it is drawn and computed, written, and read. Of a coefficient for one prime
#: of a context's tables, on both sides.
_KEY, _CONTEXT = 170.0, 800.0
#: Environment variable that sets nanoseconds of a transform, per coefficient and stage, instead of measuring them.
SPEED_VARIABLE = "FHE_ESTIMATORS_NTT_NANOSECONDS"


@cache
def ntt_nanoseconds() -> float:
    """Nanoseconds of a number theoretic transform on this machine, per coefficient and stage; measured once."""
    if SPEED_VARIABLE in os.environ:
        return float(os.environ[SPEED_VARIABLE])
    seal = import_optional("tenseal.sealapi", package="tenseal", purpose='backend="ckks"')
    degree, settings = 4096, seal.EncryptionParameters(seal.SCHEME_TYPE.CKKS)
    settings.set_poly_modulus_degree(degree)
    settings.set_coeff_modulus(seal.CoeffModulus.Create(degree, [54, 54]))
    context = seal.SEALContext(settings, True, seal.SEC_LEVEL_TYPE.TC128)
    zeros, evaluator = seal.Ciphertext(), seal.Evaluator(context)
    zeros.resize(context, context.first_context_data().parms_id(), 2)

    def there_and_back() -> float:
        start = perf_counter()
        for transform in (evaluator.transform_to_ntt_inplace, evaluator.transform_from_ntt_inplace):
            with suppress(RuntimeError):  # once it is done SEAL says that zeros hide nothing
                transform(zeros)
        return perf_counter() - start

    return 1e9 * min(there_and_back() for _ in range(20)) / (4 * degree * 12)


def keys_seconds(degree: int, n_primes: int, n_keys: int) -> float:
    """Seconds in which a client makes and writes its evaluation keys and a server reads them, once a client.

    Parameters
    ----------
    degree : int
        Ring degree N.
    n_primes : int
        Data primes: a key has as many digits, each of a polynomial for all of them and the special prime.
    n_keys : int
        Relinearization and Galois keys.

    Returns
    -------
    seconds : float
        On this machine.
    """
    unit = 1e-9 * ntt_nanoseconds() * degree * (n_primes + 1)
    return unit * (_KEY * n_primes * n_keys + _CONTEXT)
