"""Optional dependencies."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from ..exceptions import BackendNotAvailableError


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional library, or say which extra installs it.

    Parameters
    ----------
    module : str
        Name to import.
    extra : str
        The extra of this package that brings it.
    purpose : str
        What needs it, for the error message.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise BackendNotAvailableError(
            f"{purpose} needs {module.partition('.')[0]}, which is not installed (or does not import: {error}). "
            f'Install it with: pip install "fhe-estimators[{extra}]"'
        ) from error


def optional_module(module: str, *, requires: str) -> ModuleType | None:
    """Import a module of this package that needs an optional library; None where the library is missing."""
    return import_module(module) if find_spec(requires) else None
