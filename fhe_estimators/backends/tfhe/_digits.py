"""Comparisons by the server: chains of tables over the bits of a code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...ensembles import MISSING
from ...exceptions import ProtocolError
from ._comparisons import Comparisons
from ._tables import MAX_TABLE_BITS, Source, Table

#: Of codes that the server compares: more would take many bootstraps a comparison.
MAX_CODE_BITS = 8

#: Adds a table, or finds it, and says where its value comes from.
Gate = Callable[[tuple[Source, ...], np.ndarray], Source]


@dataclass(frozen=True)
class CodeBits:
    """What a client sends if the server compares: each feature's bits from the lowest, and one that says *missing*.

    Parameters
    ----------
    n_features : int
    n_bits : int
        The number of bits of a code.
    with_missing : bool
        Whether features may be missing.

    Raises
    ------
    ProtocolError
        If they are anything else: archives bring them.
    """

    n_features: int
    n_bits: int
    with_missing: bool

    def __post_init__(self) -> None:
        if type(self.n_bits) is not int or not 1 <= self.n_bits <= MAX_CODE_BITS:
            raise ProtocolError(f"Codes of {self.n_bits!r} bits are refused: they have from 1 to {MAX_CODE_BITS}.")
        if type(self.n_features) is not int or self.n_features < 1 or type(self.with_missing) is not bool:
            raise ProtocolError("The number of features, or whether they may be missing, is malformed.")

    @property
    def per_feature(self) -> int:
        return self.n_bits + self.with_missing

    def __len__(self) -> int:
        return self.n_features * self.per_feature

    def bits(self, codes: np.ndarray) -> np.ndarray:
        """Bits of rows of codes, shape (n_samples, n_features * per_feature), int64; those of a missing code are 0."""
        missing = codes == MISSING
        bits = (np.where(missing, 0, codes)[:, :, None] >> np.arange(self.n_bits)) & 1
        if self.with_missing:
            bits = np.concatenate([bits, missing[:, :, None]], axis=2)
        return bits.reshape(len(codes), -1).astype(np.int64)


def comparison_tables(comparisons: Comparisons, code_bits: CodeBits) -> tuple[list[Source], list[Table]]:
    """Where each comparison's bit comes from, and the tables that compute them.

    ``code > threshold`` reads the bits above the trailing zeros of ``threshold + 1``, a few at a time from the lowest,
    and carries whether what was read reaches the threshold. Comparisons share the tables they have in common.
    """
    numbers: dict[tuple[tuple[Source, ...], bytes], int] = {}
    tables: list[Table] = []

    def gate(inputs: tuple[Source, ...], values: np.ndarray) -> Source:
        number = numbers.setdefault((inputs, values.tobytes()), len(tables))
        if number == len(tables):
            tables.append(Table(inputs, values, -1))
        return ("gate", number)

    sources = []
    for feature, threshold, missing_right in zip(
        comparisons.feature, comparisons.threshold, comparisons.missing_right, strict=True
    ):
        first = int(feature) * code_bits.per_feature
        bits: list[Source] = [("bit", first + bit) for bit in range(code_bits.n_bits)]
        missing: Source | None = ("bit", first + code_bits.n_bits) if code_bits.with_missing else None
        sources.append(_compare(bits, int(threshold) + 1, missing, bool(missing_right), gate))
    return sources, tables


def _compare(bits: list[Source], least: int, missing: Source | None, missing_right: bool, gate: Gate) -> Source:
    """Source of ``code >= least``, or of ``missing_right`` where the bit ``missing`` is set."""
    never_or_always = not 0 < least < 2 ** len(bits)
    unused = len(bits) - 1 if never_or_always else (least & -least).bit_length() - 1
    bits, least = bits[unused:], least >> unused
    if len(bits) == 1 and least == 1 and missing is None:
        return bits[0]
    carry: tuple[Source, ...] = ()
    while bits or missing:
        digit, bits = bits[: MAX_TABLE_BITS - len(carry)], bits[MAX_TABLE_BITS - len(carry) :]
        inputs = (*carry, *digit)
        flag = missing if not bits and len(inputs) < MAX_TABLE_BITS else None
        if flag:
            inputs, missing = (*inputs, flag), None
        index = np.arange(2 ** len(inputs))
        value = (index >> len(carry)) & (2 ** len(digit) - 1)
        bound = least & (2 ** len(digit) - 1) if bits else least
        reached = (value > bound) | ((value == bound) & ((index & 1 == 1) if carry else True))
        if flag:
            reached = np.where(index >> (len(inputs) - 1) == 1, missing_right, reached)
        least >>= len(digit)
        carry = (gate(inputs, reached.astype(np.int64)),)
    return carry[0]
