"""Silence of the libraries below."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
from transformers.utils import logging


@contextmanager
def quiet_libraries(verbose: int = 0) -> Iterator[None]:
    """Hide the progress bars and FutureWarnings of transformers and PEFT, unless ``verbose`` is positive.

    What they show is for their callers, not for users of this library. Afterwards everything is as it was before.
    """
    if verbose > 0:
        yield
        return
    bars, hub_bars = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, module=r"(transformers|peft)\.")
            yield
    finally:
        if bars:
            logging.enable_progress_bar()  # those of the hub as well
            if not hub_bars:
                disable_progress_bars()
