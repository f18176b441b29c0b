"""A file of scores that is written a part at a time, and goes on after a crash where it was (client side).

Rows are appended to ``OUT.partial``. After each part the journal ``OUT.progress.json`` says how many rows are whole and
how many bytes they take; what lies behind is cut off before work goes on. The file gets its name when all is done.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from ...utils import import_optional


class ScoresFile:
    """Scores on their way into a file.

    Parameters
    ----------
    path : Path
        A CSV file, or with the ending ``.parquet`` a Parquet file.
    identity : dict
        What rows and model they belong to: JSON. Work on another is not continued.

    Attributes
    ----------
    n_rows : int
        Rows that are written already.

    Raises
    ------
    ValueError
        If the file exists, or work on something else was begun.
    """

    def __init__(self, path: Path, identity: dict[str, Any]):
        self.path = path
        self._identity = identity
        self._partial = path.with_name(path.name + ".partial")
        self._journal = path.with_name(path.name + ".progress.json")
        self.n_rows = 0
        self._types: dict[str, str] = {}
        if path.exists():
            raise ValueError(f"{path} exists already: remove it, or give another file as --out.")
        n_bytes = 0
        if self._journal.exists():
            self.n_rows, n_bytes = self._resumed()
        descriptor = os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+b")
        self._file.truncate(n_bytes)
        self._file.seek(n_bytes)

    def _resumed(self) -> tuple[int, int]:
        try:
            found = json.loads(self._journal.read_text())
            n_rows, n_bytes, identity = int(found["rows"]), int(found["bytes"]), found["identity"]
            self._types = dict(found["types"])
            long_enough = self._partial.stat().st_size >= n_bytes
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self._journal} cannot be read: remove it and {self._partial} to begin anew.") from error
        if identity != self._identity or not long_enough:
            raise ValueError(
                f"{self._partial} was begun with other rows, another model or other options: go on with those, or "
                f"remove it and {self._journal} to begin anew."
            )
        return n_rows, n_bytes

    def append(self, scores: Any) -> None:
        """Write a frame of scores, whole: after a crash there is all of it or nothing."""
        text = scores.to_csv(index=False, header=self.n_rows == 0, lineterminator="\n")
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self.n_rows += len(scores)
        self._types = {str(name): str(kind) for name, kind in scores.dtypes.items()}
        state = {"rows": self.n_rows, "bytes": self._file.tell(), "types": self._types, "identity": self._identity}
        following = self._journal.with_name(self._journal.name + ".new")
        with following.open("w") as file:
            file.write(json.dumps(state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(following, self._journal)

    def finish(self) -> None:
        """Give the file its name."""
        self._file.close()
        if self.path.suffix == ".parquet":
            pandas = import_optional("pandas", extra="datasets", purpose="Tables of scores")
            converted = self.path.with_name(self.path.name + ".converted")
            table = pandas.read_csv(self._partial, float_precision="round_trip", dtype=self._types)
            table.to_parquet(converted, index=False)
            os.replace(converted, self.path)
            self._partial.unlink()
        else:
            os.replace(self._partial, self.path)
        self._journal.unlink(missing_ok=True)

    def __enter__(self) -> ScoresFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
