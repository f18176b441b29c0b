"""Names and parameters that are going to leave the library."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def deprecated(*, since: str, removed_in: str, instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function or method that still works and is going to be removed.

    Parameters
    ----------
    since : str
        The version that deprecates it.
    removed_in : str
        The version that will not have it any more: at least two minor versions later.
    instead : str
        What to use in its place, as the end of a sentence that begins with "use".

    Returns
    -------
    decorator : callable
        Of a function, which then warns with `FutureWarning` when it is called.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def warned(*args: P.args, **kwargs: P.kwargs) -> R:
            _warn(f"{function.__qualname__}()", since, removed_in, instead)
            return function(*args, **kwargs)

        return warned

    return decorate


def renamed_parameter(
    old: str, new: str, *, since: str, removed_in: str
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Decorate a function one of whose parameters has another name now.

    Not for parameters of an estimator's ``__init__``: scikit-learn's `clone` and `get_params` read its signature, so
    there the old name stays a parameter, with the default ``"deprecated"``, and `fit` warns where it is set.

    Parameters
    ----------
    old, new : str
        The name that callers may still use, and the one that the function has.
    since : str
        The version that renames it.
    removed_in : str
        The version that will not accept the old name any more: at least two minor versions later.

    Returns
    -------
    decorator : callable
        Of a function, which then accepts both names, and warns with `FutureWarning` where the old one is used.

    Raises
    ------
    TypeError
        When the function has no parameter ``new``; and by the decorated function if it is called with both names.
    """

    def decorate(function: Callable[..., R]) -> Callable[..., R]:
        if new not in inspect.signature(function).parameters:
            raise TypeError(f"{function.__qualname__}() has no parameter {new!r}.")

        @functools.wraps(function)
        def translated(*args: Any, **kwargs: Any) -> R:
            if old in kwargs:
                if new in kwargs:
                    raise TypeError(f"{function.__qualname__}() got {old!r} and {new!r}: pass {new!r} only.")
                _warn(f"{old!r} of {function.__qualname__}()", since, removed_in, repr(new))
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return translated

    return decorate


def _warn(what: str, since: str, removed_in: str, instead: str) -> None:
    warnings.warn(
        f"{what} is deprecated since version {since} and will be removed in {removed_in}: use {instead}.",
        FutureWarning,
        stacklevel=3,
    )
