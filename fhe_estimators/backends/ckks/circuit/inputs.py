"""Inputs of the circuit: the indicator bits that clients compute from quantized rows and encrypt."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ....ensembles import MISSING

#: Kinds of indicators of a code ``c``: ``c > value`` (a missing value answers ``shift``),
#: ``(c >> shift) % 2 ** width == value``, and "``c`` is missing".
COMPARISON, DIGIT, IS_MISSING = 0, 1, 2

#: What a bit is used as, which decides its scale: a factor of products, or a term of linear forms only.
FACTOR, TERM = 0, 1


@dataclass(frozen=True, eq=False)
class InputTable:
    """Indicators, one an entry of each array, all of shape (n_inputs,), int32."""

    feature: np.ndarray
    kind: np.ndarray
    value: np.ndarray
    shift: np.ndarray
    width: np.ndarray

    def __len__(self) -> int:
        return len(self.feature)

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Indicators of rows of codes, shape (n_samples, n_inputs), bool."""
        code = codes[:, self.feature]
        missing = code == MISSING
        digit = (code >> self.shift) & ((1 << self.width) - 1)
        return np.select(
            [self.kind == COMPARISON, self.kind == DIGIT],
            [np.where(missing, self.shift > 0, code > self.value), (digit == self.value) & ~missing],
            missing,
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For client specs; inverse of `from_arrays`."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> InputTable:
        return cls(**{field.name: np.asarray(arrays[field.name]) for field in fields(cls)})

    @classmethod
    def from_rows(cls, rows: list[tuple[int, int, int, int, int]]) -> InputTable:
        """From ``(feature, kind, value, shift, width)`` tuples."""
        return cls(*np.array(rows, dtype=np.int32).reshape(-1, 5).T)
