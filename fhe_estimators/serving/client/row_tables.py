"""Tables of rows, read a part at a time: what the model gets, and what goes along as it is (client side)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...utils import import_optional
from .csv_rows import CSVRows
from .features import Features

Part = tuple[Any, Any, list[str]]


def read_parts(source: Path, size: int, features: Features, keep: Sequence[str]) -> Iterator[Part]:
    """Rows of a CSV or Parquet file, in order.

    Parameters
    ----------
    source : Path
        The file; Parquet if its name ends so.
    size : int
        Rows of a part, at most.
    features : Features
        Of the model.
    keep : sequence of str
        Columns to copy. Values of a CSV file stay the text that they are, those of a Parquet file keep their type: no
        zero in front of an identifier is lost, and no integer becomes a float where others are missing.

    Yields
    ------
    rows : DataFrame or ndarray
        As the model takes them.
    kept : DataFrame
        The columns to copy.
    notes : list of str
        What a person should know of how the part was read.

    Raises
    ------
    ValueError
        If the file lacks columns, has two of one name, or holds what the model cannot take.
    """
    if source.suffix == ".parquet":
        yield from _parquet_parts(source, size, features, list(keep))
        return
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            for part in CSVRows(file, features, keep).parts(size):
                yield part.rows, part.texts, part.notes
    except UnicodeDecodeError:
        raise ValueError(f"{source} is no UTF-8 text: save it as CSV in UTF-8.") from None


def _parquet_parts(source: Path, size: int, features: Features, keep: list[str]) -> Iterator[Part]:
    pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
    parquet = import_optional("pyarrow.parquet", extra="parquet", package="pyarrow", purpose="Parquet files")
    with parquet.ParquetFile(source) as file:
        names = list(file.schema_arrow.names)
        wanted = [names[place] for place in features.places(names, keep)]
        for batch in file.iter_batches(batch_size=size):
            rows = batch.select(wanted).to_pandas()
            kept = batch.select(keep).to_pandas(types_mapper=pandas.ArrowDtype)
            yield rows if features.are_named else rows.to_numpy(), kept.reset_index(drop=True), []
