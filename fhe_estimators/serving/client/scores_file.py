"""A file of scores that is written a part at a time, and goes on after a crash where it was (client side).

Rows are appended to ``OUT.partial``: lines of CSV or, for a Parquet file, Arrow's stream format, which keeps types.
After each part the journal ``OUT.progress.json`` says how many rows are whole and how many bytes they take; what lies
behind is cut off before work goes on. The file gets its name when all is done.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from types import TracebackType
from typing import Any

from ...utils import import_optional

#: Rows that are read again at a time for a Parquet file: so many are a group of rows there.
_GROUP_ROWS = 1 << 18


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
        If the file exists, work on something else was begun, or another process is at work on it.
    """

    def __init__(self, path: Path, identity: dict[str, Any]):
        self.path = path
        self._identity = identity
        self._partial = path.with_name(path.name + ".partial")
        self._journal = path.with_name(path.name + ".progress.json")
        self.n_rows = 0
        self._parts: _CSVParts | _ArrowParts = _ArrowParts() if path.suffix == ".parquet" else _CSVParts()
        if path.exists():
            raise _exists(path)
        self._file = os.fdopen(os.open(self._partial, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def _begin(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"Another process is writing {self._partial}: let it end, or give another --out."
            ) from None
        if self.path.exists():  # the other one has just finished
            raise _exists(self.path)
        n_bytes = 0
        if self._journal.exists():
            self.n_rows, n_bytes = self._resumed()
        self._parts.resume(self._file)
        self._file.truncate(n_bytes)
        self._file.seek(n_bytes)

    def _resumed(self) -> tuple[int, int]:
        try:
            found = json.loads(self._journal.read_text())
            n_rows, n_bytes, identity = int(found["rows"]), int(found["bytes"]), found["identity"]
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
        self._file.write(self._parts.encoded(scores, is_first=self.n_rows == 0))
        self._file.flush()
        os.fsync(self._file.fileno())
        self.n_rows += len(scores)
        state = {"rows": self.n_rows, "bytes": self._file.tell(), "identity": self._identity}
        following = self._journal.with_name(self._journal.name + ".new")
        with following.open("w") as file:
            file.write(json.dumps(state))
            file.flush()
            os.fsync(file.fileno())
        os.replace(following, self._journal)

    def finish(self) -> None:
        """Give the file its name."""
        converted = self._parts.converted(self._partial, self.path)
        os.replace(converted, self.path)
        self._journal.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def __enter__(self) -> ScoresFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class _CSVParts:
    """Lines of text, the first of which names the columns."""

    def resume(self, file: Any) -> None:
        """Nothing to know of what is there."""

    def encoded(self, scores: Any, *, is_first: bool) -> bytes:
        """The bytes of a frame."""
        return scores.to_csv(index=False, header=is_first, lineterminator="\n").encode()

    def converted(self, partial: Path, path: Path) -> Path:
        """The file that gets the name: it is one already."""
        return partial


class _ArrowParts:
    """Arrow's stream format: the types of the columns, then batches of rows."""

    def __init__(self) -> None:
        self._arrow = import_optional("pyarrow", extra="parquet", package="pyarrow", purpose="Parquet files")
        self._ipc = import_optional("pyarrow.ipc", extra="parquet", package="pyarrow", purpose="Parquet files")
        self._schema: Any = None

    def resume(self, file: Any) -> None:
        """Find the types that were written."""
        file.seek(0)
        if os.fstat(file.fileno()).st_size:
            self._schema = self._ipc.read_schema(self._arrow.py_buffer(file.read(1 << 24)))

    def encoded(self, scores: Any, *, is_first: bool) -> bytes:
        """The bytes of a frame, whose columns have the types of the first."""
        table = self._arrow.Table.from_pandas(scores, preserve_index=False).replace_schema_metadata(None)
        for number, field in enumerate(table.schema):
            if self._arrow.types.is_dictionary(field.type):
                values = table.column(number).cast(field.type.value_type)
                table = table.set_column(number, field.name, values)
        if is_first:
            self._schema = table.schema
        batches = table.cast(self._schema).combine_chunks().to_batches()
        head = self._schema.serialize().to_pybytes() if is_first else b""
        return head + b"".join(batch.serialize().to_pybytes() for batch in batches)

    def converted(self, partial: Path, path: Path) -> Path:
        """A Parquet file of all batches, some groups of rows of which are in memory at a time."""
        parquet = import_optional("pyarrow.parquet", extra="parquet", package="pyarrow", purpose="Parquet files")
        converted = path.with_name(path.name + ".converted")
        with partial.open("rb") as source, converted.open("wb") as target:
            with self._ipc.open_stream(source) as batches, parquet.ParquetWriter(target, self._schema) as writer:
                group: list[Any] = []
                for batch in batches:
                    group.append(batch)
                    if sum(map(len, group)) >= _GROUP_ROWS:
                        writer.write_table(self._arrow.Table.from_batches(group))
                        group = []
                if group:
                    writer.write_table(self._arrow.Table.from_batches(group))
            target.flush()
            os.fsync(target.fileno())
        return converted


def _exists(path: Path) -> ValueError:
    return ValueError(f"{path} exists already: remove it, or give another file as --out.")
