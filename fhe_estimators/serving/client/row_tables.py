"""Tables of rows, read a part at a time: what the model gets, and what goes along as it is (client side)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...utils import import_optional


def read_parts(source: Path, size: int, keep: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    """Rows of a CSV or Parquet file, in order.

    Parameters
    ----------
    source : Path
        The file; Parquet if its name ends so.
    size : int
        Rows of a part, at most.
    keep : sequence of str
        Columns to copy. Values of a CSV file stay the text that they are, those of a Parquet file keep their type: no
        zero in front of an identifier is lost, and no integer becomes a float where others are missing.

    Yields
    ------
    rows, kept : DataFrame
        All columns, with values as numbers where they are; and those to copy.

    Raises
    ------
    ValueError
        If the file lacks columns to copy.
    """
    pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
    if source.suffix == ".parquet":
        yield from _parquet_parts(pandas, source, size, list(keep))
    else:
        yield from _csv_parts(pandas, source, size, list(keep))


def _parquet_parts(pandas: Any, source: Path, size: int, keep: list[str]) -> Iterator[tuple[Any, Any]]:
    parquet = import_optional("pyarrow.parquet", extra="parquet", package="pyarrow", purpose="Parquet files")
    with parquet.ParquetFile(source) as file:
        _check_there(keep, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=size):
            kept = batch.select(keep).to_pandas(types_mapper=pandas.ArrowDtype)
            yield batch.to_pandas(), kept.reset_index(drop=True)


def _csv_parts(pandas: Any, source: Path, size: int, keep: list[str]) -> Iterator[tuple[Any, Any]]:
    _check_there(keep, pandas.read_csv(source, nrows=0).columns)
    # not a last bit of a number may change: thresholds are compared exactly
    with pandas.read_csv(source, chunksize=size, float_precision="round_trip") as parts:
        if not keep:
            for part in parts:
                yield part, part[[]].reset_index(drop=True)
            return
        with pandas.read_csv(source, chunksize=size, usecols=keep, dtype=str, na_filter=False) as texts:
            for part, kept in zip(parts, texts, strict=True):
                yield part, kept[keep].reset_index(drop=True)


def _check_there(keep: list[str], columns: Any) -> None:
    missing = [name for name in keep if name not in list(columns)]
    if missing:
        raise ValueError(f"--keep names columns that the rows lack: {', '.join(missing)}.")
