"""Checks that every encryption engine must pass, for authors of engines.

They are to backends what `sklearn.utils.estimator_checks` is to estimators: no other module of the library uses them.
"""

from __future__ import annotations

from collections.abc import Callable

from ...backends import Backend, resolve_backend
from . import _exactness, _protocol

__all__ = ["BACKEND_CHECKS", "check_backend"]

#: All checks, functions of a backend and a number of rows. Each is independent of the others, so that a test suite can
#: be parametrized with them.
BACKEND_CHECKS: tuple[Callable[[Backend, int], None], ...] = (
    _exactness.check_ensembles,
    _exactness.check_quantizers,
    _exactness.check_numbers_of_rows,
    _exactness.check_programs,
    _exactness.check_descriptions,
    _protocol.check_keys,
    _protocol.check_exported_keys,
    _protocol.check_identities,
    _protocol.check_damaged_messages,
    _protocol.check_responses,
    _protocol.check_responses_to_more_rows,
    _protocol.check_rerandomization,
)


def check_backend(backend: str | Backend, n_samples: int = 20) -> None:
    """Check that an engine keeps the contract of `fhe_estimators.backends`.

    Random ensembles of many shapes are compiled, evaluated on encrypted rows and compared with the clear, bit for bit;
    keys, requests and responses are exchanged between models, clients and requests, damaged and forged, and must be
    refused with the errors that the contract names.

    Parameters
    ----------
    backend : str or Backend
        The engine, or its name.
    n_samples : int, default=20
        Rows that are encrypted where a check wants many; at least 3. Engines that take a second for a row get few.

    Raises
    ------
    AssertionError
        If the engine computes something else, or accepts what it must refuse; the message says what.

    Examples
    --------
    >>> from fhe_estimators.utils.backend_checks import check_backend
    >>> check_backend("clear")
    """
    if n_samples < 3:
        raise ValueError(f"n_samples={n_samples} must be at least 3.")
    resolved = resolve_backend(backend)
    for check in BACKEND_CHECKS:
        check(resolved, n_samples)
