"""The public names of the package and what they stand for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

MODULES = (
    "fhe_estimators",
    "fhe_estimators.serving",
    "fhe_estimators.serving.ray_app",
    "fhe_estimators.lora",
    "fhe_estimators.inspection",
    "fhe_estimators.interop",
    "fhe_estimators.quantizers",
    "fhe_estimators.quantizers.linear",
    "fhe_estimators.ensembles",
    "fhe_estimators.backends",
    "fhe_estimators.backends.auto",
    "fhe_estimators.backends.bfv",
    "fhe_estimators.backends.ckks",
    "fhe_estimators.backends.tfhe",
    "fhe_estimators.backends.clear",
    "fhe_estimators.backends.lwe",
    "fhe_estimators.security",
    "fhe_estimators.datasets",
    "fhe_estimators.exceptions",
)

_DEEP_LEARNING = all(find_spec(library) for library in ("torch", "transformers", "peft"))


def names_of(module: ModuleType) -> list[str]:
    """``__all__``, or without it the names that a module defines itself."""
    defined = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return [name for name in getattr(module, "__all__", defined) if not name.startswith("_")]


def _load() -> Iterator[tuple[str, Any]]:
    for path in MODULES:
        try:
            module = import_module(path)
            yield from ((f"{path}.{name}", getattr(module, name)) for name in names_of(module))
        except ImportError:
            if _DEEP_LEARNING:
                raise


def is_documented_by_docstring(value: Any) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


#: Everything public by its name, constants included. One object may have several names.
PUBLIC: dict[str, Any] = dict(_load())

#: Classes and functions, each once: by the first name that is its own, not an alias.
OBJECTS: dict[str, Any] = {}
for _name, _value in PUBLIC.items():
    if is_documented_by_docstring(_value) and _name.endswith(f".{_value.__name__}"):
        OBJECTS |= {} if any(_value is other for other in OBJECTS.values()) else {_name: _value}


def _members() -> Iterator[tuple[str, Any]]:
    seen = set()
    for name, cls in OBJECTS.items():
        for member, value in inspect.getmembers(cls) if inspect.isclass(cls) else ():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            ours = inspect.isfunction(function) and function.__module__.startswith("fhe_estimators")
            if ours and not member.startswith("_") and (function.__module__, function.__qualname__) not in seen:
                seen.add((function.__module__, function.__qualname__))
                yield f"{name}.{member}", value


#: Their public methods and properties, each once: under the first class that has it.
MEMBERS: dict[str, Any] = dict(_members())

#: What is called: classes, functions and methods.
CALLABLES: dict[str, Callable] = {
    name: value for name, value in {**OBJECTS, **MEMBERS}.items() if not isinstance(value, property)
}
