"""From the ``backend=`` parameter of an estimator to a backend."""

from __future__ import annotations

from importlib.metadata import entry_points

from ._base import Backend
from .factory import find_named

#: Group of the entry points by which other packages add backends.
ENTRY_POINT_GROUP = "fhe_estimators.backends"

# Named, not imported: a backend's libraries are loaded only when it is used.
_BUILT_IN = {
    "auto": "fhe_estimators.backends.auto:AutoBackend",
    "bfv": "fhe_estimators.backends.bfv:BFVBackend",
    "clear": "fhe_estimators.backends.clear:ClearBackend",
    "ckks": "fhe_estimators.backends.ckks:CKKSBackend",
    "tfhe": "fhe_estimators.backends.tfhe:TFHEBackend",
}


def available_backends() -> list[str]:
    """Names that `resolve_backend` accepts, built-in and from installed packages.

    Returns
    -------
    names : list of str
        In alphabetical order.

    Examples
    --------
    >>> from fhe_estimators.backends import available_backends
    >>> available_backends()
    ['auto', 'bfv', 'ckks', 'clear', 'tfhe']
    """
    return sorted({*_BUILT_IN, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP))})


def resolve_backend(backend: str | Backend) -> Backend:
    """Backend from its name, or as it is.

    Parameters
    ----------
    backend : str or Backend
        A name from `available_backends`, or an instance.

    Returns
    -------
    backend : Backend
        The instance, or one with default settings.
    """
    if isinstance(backend, Backend):
        return backend
    if isinstance(backend, str):
        if backend in _BUILT_IN:
            found: Backend = find_named(_BUILT_IN[backend])()
            return found
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            if entry.name == backend:
                return entry.load()()
    raise ValueError(f"backend={backend!r} is unknown: use one of {available_backends()} or a Backend instance.")
