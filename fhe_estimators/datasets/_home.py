"""Where fetched data are kept."""

from __future__ import annotations

import os
from pathlib import Path

PathLike = str | os.PathLike[str]


def get_data_home(data_home: PathLike | None = None) -> Path:
    """Folder in which fetched data are kept; it is made if it does not exist.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder. None: the one that the environment variable ``FHE_ESTIMATORS_DATA`` names, or else
        ``fhe_estimators`` in the user's folder of caches (``XDG_CACHE_HOME``, or ``~/.cache``). It may be deleted at
        any time: what is needed is fetched again.

    Returns
    -------
    data_home : pathlib.Path
        An existing folder.

    Examples
    --------
    >>> import tempfile
    >>> from fhe_estimators.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(f"{folder}/data").is_dir()
    True
    """
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = Path(data_home or os.environ.get("FHE_ESTIMATORS_DATA") or caches / "fhe_estimators").expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder
