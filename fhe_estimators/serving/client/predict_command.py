"""``fhe-estimators predict``: a table of rows, scored by a service (client side)."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ...utils import import_optional, progress_bar
from .features import Features
from .forecast import request_rows
from .remote_model import RemoteModel
from .row_tables import read_parts
from .scores_file import ScoresFile

METHODS = ("predict", "predict_proba", "decision_function")
#: Environment variable with the password of --keys-file.
PASSWORD_VARIABLE = "FHE_ESTIMATORS_KEYS_PASSWORD"


def predict(
    url: str,
    rows: str,
    *,
    out: str,
    model: str | None = None,
    method: str = "predict",
    keep: list[str] | None = None,
    client_archive: str | None = None,
    keys_file: str | None = None,
    rows_per_request: int | None = None,
    concurrent: int = 4,
    ca_file: str | None = None,
    retry_seconds: float = 300.0,
    quiet: bool = False,
) -> None:
    """Score the rows of a CSV or Parquet file into another; a run that was interrupted goes on where it was."""
    pandas = import_optional("pandas", extra="datasets", purpose="Tables of rows")
    source, target = Path(rows), Path(out)
    if any(path.suffix == ".parquet" for path in (source, target)):
        import_optional("pyarrow", extra="parquet", package="pyarrow", purpose="Parquet files")
    remote = RemoteModel(
        url,
        model=model,
        client_archive=client_archive,
        keys_file=keys_file,
        password=os.environ.get(PASSWORD_VARIABLE),
        rows_per_request=rows_per_request,
        n_concurrent=concurrent,
        retry_seconds=retry_seconds,
        verify=ca_file or True,
    )
    if not hasattr(remote, method):
        raise ValueError(f"--method {method}: the model at {url} has no such method.")
    identity = {
        "rows_sha256": _digest(source),
        "program_id": remote._session().card["program_id"],
        "method": method,
        "keep": keep or [],
    }
    size = concurrent * request_rows(remote._session().card, rows_per_request)
    with ScoresFile(target, identity) as scores:
        if not quiet:
            print(f"{url}: {_summary(remote, method)}", file=sys.stderr)
        done, skipped = 0, scores.n_rows
        told: set[str] = set()
        with progress_bar((), description="score rows", verbose=int(not quiet), total=None) as bar:
            bar.update(skipped)
            for table, kept, notes in read_parts(source, size, Features(remote._session().model), keep or []):
                start = max(0, skipped - done)
                fresh, kept = table[start:], kept.iloc[start:].reset_index(drop=True)
                done += len(table)
                if len(fresh):
                    found = getattr(remote, method)(fresh)
                    scores.append(_beside(pandas, kept, _scores(pandas, method, remote, found)))
                    bar.update(len(fresh))
                for note in notes:
                    if note not in told:
                        print(note, file=sys.stderr)
                        told.add(note)
        if scores.n_rows == 0:
            raise ValueError(f"{source} has no rows.")
        scores.finish()


def _summary(remote: RemoteModel, method: str) -> str:
    facts = remote.describe(1000)
    forecast = facts["forecast"]
    return (
        f"{method} with {facts['scheme']}, {facts['security_bits']} bits; 1,000 rows take about "
        f"{forecast['seconds']:.3g} s and {(forecast['upload_bytes'] + forecast['download_bytes']) / 1e6:.3g} MB"
    )


def _beside(pandas: Any, kept: Any, scores: Any) -> Any:
    twice = [name for name in kept.columns if name in scores.columns]
    if twice:
        raise ValueError(f"--keep names {', '.join(twice)}, which is what scores are called: rename it in the rows.")
    return pandas.concat([kept, scores], axis=1)


def _scores(pandas: Any, method: str, remote: RemoteModel, found: Any) -> Any:
    columns: dict[str, Any] = {}
    outputs = found if isinstance(found, list) else [found]
    classes = remote.classes_ if method == "predict_proba" else None
    for number, values in enumerate(outputs):
        prefix = f"{number}_" if isinstance(found, list) else ""
        values = np.asarray(values)
        if values.ndim == 1:
            columns["prediction" if method == "predict" else "score"] = values
            continue
        labels: Any = range(values.shape[1])
        if classes is not None:
            labels = classes[number] if isinstance(found, list) else classes
        stem = {"predict": "prediction", "predict_proba": "probability", "decision_function": "score"}[method]
        columns |= {f"{stem}_{prefix}{label}": values[:, j] for j, label in enumerate(labels)}
    return pandas.DataFrame(columns)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
