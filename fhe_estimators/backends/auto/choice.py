"""Which engine takes a request, by its number of rows. Both sides use it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ...exceptions import ProtocolError

#: The engine for few rows, and the one for many.
FEW, MANY = ENGINES = ("bfv", "ckks")
#: Rows up to which a crossing point is looked for.
_MOST_ROWS = 1 << 17


@dataclass(frozen=True)
class Choice:
    """`few` takes requests of less than `crossing_rows` rows, `many` all others.

    Parameters
    ----------
    few, many : str
        Names of engines.
    crossing_rows : int or None
        None if `few` takes all requests, 1 if `many` does.
    """

    few: str
    many: str
    crossing_rows: int | None

    @property
    def engines(self) -> tuple[str, ...]:
        """Engines that take any request at all."""
        if self.crossing_rows is None:
            return (self.few,)
        return (self.many,) if self.crossing_rows == 1 else (self.few, self.many)

    def engine_for(self, n_rows: int, available: Collection[str] | None = None) -> str:
        """The engine of a request; of those that are available, if the best one is not.

        Parameters
        ----------
        n_rows : int
            Rows of the request.
        available : collection of str, default=None
            Names of engines, at least one; None for all.
        """
        best = self.few if self.crossing_rows is None or max(n_rows, 1) < self.crossing_rows else self.many
        return best if available is None or best in available else min(available)

    def rows(self, engine: str) -> list[int | None] | None:
        """Fewest and most rows that an engine takes, the latter None without a limit; None if it takes none."""
        if engine not in self.engines:
            return None
        if len(self.engines) == 1 or self.crossing_rows is None:
            return [1, None]
        return [1, self.crossing_rows - 1] if engine == self.few else [self.crossing_rows, None]

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `from_json`."""
        return {"few": self.few, "many": self.many, "crossing_rows": self.crossing_rows}

    @classmethod
    def from_json(cls, values: Any, engines: Collection[str]) -> Choice:
        """From plain values, checked; `ProtocolError` if they are no choice among these engines."""
        if not isinstance(values, dict) or set(values) != {"few", "many", "crossing_rows"}:
            raise ProtocolError("The choice of an engine is malformed.")
        choice, crossing = cls(**values), values["crossing_rows"]
        if choice.few not in engines or choice.many not in engines:
            raise ProtocolError("The choice of an engine names one that the program does not hold.")
        if crossing is not None and (type(crossing) is not int or crossing < 1):
            raise ProtocolError(f"crossing_rows={crossing!r} must be a positive integer or None.")
        return choice


def cheaper(few: Callable[[int], float], many: Callable[[int], float]) -> Choice:
    """The choice between the two engines by their seconds for a number of rows.

    Rows cost the first engine something each, and the second next to nothing as long as they fill a batch, so there is
    one crossing point; it is found by doubling and bisection.
    """
    fewest, most = 0, 1
    while few(most) <= many(most):
        fewest, most = most, 2 * most
        if most > _MOST_ROWS:
            return Choice(FEW, MANY, None)
    while most - fewest > 1:
        middle = (fewest + most) // 2
        if few(middle) <= many(middle):
            fewest = middle
        else:
            most = middle
    return Choice(FEW, MANY, most)
