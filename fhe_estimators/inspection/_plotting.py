"""What all displays share."""

from __future__ import annotations

from typing import Any

from ..utils import import_optional


def new_axes(ax: Any = None) -> Any:
    """The given axes, or those of a new figure."""
    if ax is not None:
        return ax
    pyplot = import_optional("matplotlib.pyplot", extra="plots", purpose="plot()")
    return pyplot.subplots(layout="constrained")[1]
