"""Optional dependencies."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from ..exceptions import BackendNotAvailableError


def import_optional(module: str, *, purpose: str, extra: str | None = None, package: str | None = None) -> ModuleType:
    """Import a library that may be missing, or say how to install it.

    Parameters
    ----------
    module : str
        The module to import.
    purpose : str
        What needs it, for the error message.
    extra : str, default=None
        The extra of this package that brings it.
    package : str, default=None
        The package to install by itself, where no extra brings it.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    BackendNotAvailableError
        If the module does not import; the message says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        requirement = f'"fhe-estimators[{extra}]"' if extra else package
        raise BackendNotAvailableError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed (or does not import: {error}). "
            f"Install it with: pip install {requirement}"
        ) from error


def optional_module(module: str, *, requires: str) -> ModuleType | None:
    """Import a module of this package that needs an optional library; None where the library is missing."""
    return import_module(module) if find_spec(requires) else None
