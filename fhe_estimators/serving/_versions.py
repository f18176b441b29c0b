"""The version of the archive format, and how archives of earlier versions are read.

An archive is kept for as long as its model is used, so every version stays readable, or is refused with an error that
says what to do. To change the format:

1. Raise `ARCHIVE_VERSION`, so that earlier releases refuse the new archives instead of misreading them.
2. Add a step to `_STEPS` that turns what an archive of the version before held into what one of the new version holds.
   It is the only place that knows of the earlier version; steps run one after the other.
3. Before that, store archives of the version before: ``tests/data/make_archives.py`` writes them, and
   ``tests/serving/test_old_archives.py`` reads them for ever.

A file chooses the version that it claims to have, so a step must never make anything less strict than it is in the
present version.

Versions
--------
1. The first.
2. Clients decode without help of the server: the client archives of the `ckks` engine say which scores are constant.
   A scale for each score.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

ARCHIVE_VERSION = 2

Settings = dict[str, Any]
Arrays = dict[str, np.ndarray]


def upgraded(kind: str, version: int, settings: Settings, arrays: Arrays) -> tuple[Settings, Arrays]:
    """What an archive of an earlier version holds, as one of the present version would."""
    for earlier in range(version, ARCHIVE_VERSION):
        step = _STEPS.get((kind, earlier))
        if step is not None:
            settings, arrays = step(settings, arrays)
    return settings, arrays


def _client_from_1(settings: Settings, arrays: Arrays) -> tuple[Settings, Arrays]:
    n_scores = len(arrays["base_score"])
    if settings["backend"] == "ckks":
        # The server used to say which scores are constant. Taken for none, a response that leaves some out is refused.
        settings = {**settings, "spec": {**settings["spec"], "constants": [None] * n_scores}}
    if "score_scale" not in arrays:
        arrays = {**arrays, "score_scale": np.full(n_scores, float(settings["score_scale"]))}
    return settings, arrays


#: By kind of archive and the version that a step starts from.
_STEPS: dict[tuple[str, int], Callable[[Settings, Arrays], tuple[Settings, Arrays]]] = {("client", 1): _client_from_1}
