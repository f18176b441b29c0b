"""Silence of the libraries below."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars
from transformers.utils import logging

_ONE_AT_A_TIME = RLock()


@contextmanager
def quiet_libraries(verbose: int = 0) -> Iterator[None]:
    """Hide the progress bars and FutureWarnings of transformers and PEFT, unless ``verbose`` is positive.

    What they show is for their callers, not for users of this library. Afterwards everything is as it was before. One
    thread at a time: while these libraries build models, they change what building means in the whole process.
    """
    with _ONE_AT_A_TIME, _quiet(verbose):
        yield


@contextmanager
def _quiet(verbose: int) -> Iterator[None]:
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
