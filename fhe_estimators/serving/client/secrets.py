"""Parameters of estimators that nobody shall read: shown by no ``repr``, held by no pickle."""

from __future__ import annotations

from typing import Any


class Secret:
    """A token or a password.

    Parameters
    ----------
    value : str or None
        Pickles hold None.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None):
        self._value = value

    def reveal(self) -> str | None:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "<hidden>" if self._value is not None else "None"

    __str__ = __repr__

    def __eq__(self, other: Any) -> bool:
        return self._value == (other._value if isinstance(other, Secret) else other)

    def __hash__(self) -> int:
        return hash(self._value)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> Any:
        return Secret, (None,)


def hidden(value: Any) -> Any:
    """A value as a `Secret`; None stays None."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def revealed(value: Secret | str | None) -> str | None:
    """The value of a `Secret`, or what is none."""
    return value.reveal() if isinstance(value, Secret) else value
