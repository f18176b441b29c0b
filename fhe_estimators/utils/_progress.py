"""Progress bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")


def progress_bar(items: Iterable[T], *, description: str, verbose: int, total: int | None = None) -> tqdm[T]:
    """An iterable with a tqdm bar on standard error if ``verbose`` is positive, silent otherwise."""
    return tqdm(items, desc=description, total=total, disable=verbose <= 0)


class StepProgress:
    """A bar over steps that take unequal time, which it shows as the share of all time that has passed.

    Use as a context manager, and call it after each step.

    Parameters
    ----------
    finished : sequence of float
        Seconds, or any other measure, that will have passed after each step.
    description : str
        Shown in front.
    verbose : int
        No bar is shown if it is not positive.
    """

    def __init__(self, finished: Sequence[float], *, description: str, verbose: int):
        self._finished = finished
        self._step = 0
        self.bar = tqdm(
            desc=description,
            total=float(finished[-1]) if len(finished) else 0.0,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}]",
            disable=verbose <= 0,
        )

    def __call__(self) -> None:
        self.bar.update(float(self._finished[self._step]) - self.bar.n)
        self._step += 1

    def __enter__(self) -> StepProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()
