"""Checks shared by both ends of the reference engine's protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...exceptions import KeyMismatchError, ProtocolError


def check_identity(kind: str, header: Mapping[str, Any], **expected: str) -> None:
    """`KeyMismatchError` unless a message names the program and keys it is used with."""
    for name, value in expected.items():
        if header.get(name) != value:
            what = "another model" if name == "program_id" else "other keys"
            raise KeyMismatchError(f"The {kind} was made for {what} ({name}={header.get(name)!r}, not {value!r}).")


def read_matrix(
    kind: str, header: Mapping[str, Any], blobs: list[memoryview], n_columns: int, dtype: np.dtype
) -> np.ndarray:
    """The only blob of a message as (n_rows, n_columns); `ProtocolError` if sizes disagree."""
    n_rows = header.get("n_rows")
    if not isinstance(n_rows, int) or isinstance(n_rows, bool) or n_rows < 0:
        raise ProtocolError(f"The {kind} has no valid n_rows.")
    if len(blobs) != 1 or len(blobs[0]) != n_rows * n_columns * dtype.itemsize:
        raise ProtocolError(f"The {kind} does not hold {n_rows} rows of {n_columns} numbers.")
    return np.frombuffer(blobs[0], dtype=dtype).reshape(n_rows, n_columns)
