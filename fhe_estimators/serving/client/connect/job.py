"""One table or row on its way to the service and back, in a thread (client side)."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from typing import Any

import numpy as np

from ....exceptions import FHEError
from ....utils import import_optional
from ..csv_rows import Table
from ..features import Features
from ..fhe_client import FHEClient
from ..forecast import request_rows
from ..remote_model import RemoteModel
from .results import Results

#: Rows that the page shows; the file has all.
SHOWN_ROWS = 200
_MODEL_CHANGED = (
    "The service serves another model now than when this page was opened: end fhe-estimators connect in its terminal, "
    "and start it again."
)


def decrypted_scores(client: FHEClient, response: bytes, request: bytes) -> np.ndarray:
    """The scores themselves, which everything that is shown is computed from: a row is sent once."""
    return client._scores(response, request)


class Job:
    """Scores of a table's rows.

    Parameters
    ----------
    remote : RemoteModel
        Connected.
    features : Features
        Of its rows.
    table : Table
        The rows.
    with_reasons : bool
        Whether contributions are asked for, too.
    """

    def __init__(self, remote: RemoteModel, features: Features, table: Table, *, with_reasons: bool):
        self._remote, self._features, self._table = remote, features, table
        self._with_reasons = with_reasons
        self._n_rows = len(table.rows)
        self._done = 0
        self._state, self._error = "running", ""
        self._results: Results | None = None
        self._start, self._seconds = time.perf_counter(), 0.0
        self._before = self._traffic()
        self._forecast = remote.describe(self._n_rows)["forecast"]["seconds"]
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="fhe_estimators-connect")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Send no more rows; what is under way is waited for and thrown away."""
        self._is_cancelled.set()

    @property
    def is_running(self) -> bool:
        """Whether it is neither done nor failed."""
        return self._state == "running"

    def _run(self) -> None:
        try:
            self._results = self._scored()
            self._state = "cancelled" if self._results is None else "done"
        except (FHEError, ValueError, OSError) as error:  # they say what to do
            is_new = getattr(error, "code", "") == "model_changed"
            self._error = _MODEL_CHANGED if is_new else str(error)
            self._state = "failed"
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            self._error = f"{type(error).__name__}: the terminal of fhe-estimators connect says more."
            self._state = "failed"
        finally:
            self._seconds = time.perf_counter() - self._start

    def _scored(self) -> Results | None:
        session = self._remote._session()
        session.reader.quantize(self._table.rows)  # all rows are checked before the first is sent
        size = self._remote.n_concurrent * request_rows(session.card, self._remote.rows_per_request)
        scores, contributions = [], []
        for start in range(0, self._n_rows, size):
            if self._is_cancelled.is_set():
                return None
            rows = self._table.rows[start : start + size]
            scores.append(self._remote._scored(rows, decrypted_scores))
            if self._with_reasons:
                found = self._remote.predict_contributions(rows)
                contributions.append(found if found.ndim == 3 else found[:, None, :])
            self._done = start + len(rows)
        names = [feature.name for feature in self._features.all]
        return Results(
            session.model, names, np.concatenate(scores), np.concatenate(contributions) if contributions else None
        )

    def _traffic(self) -> dict[str, int]:
        sessions = [self._remote._session(), self._remote._companion_session()]
        counts = [session.traffic.counts() for session in sessions if session is not None]
        return {name: sum(count[name] for count in counts) for name in counts[0]}

    def status(self) -> dict[str, Any]:
        """How it stands; when done, the first rows' scores."""
        traffic = {name: count - self._before[name] for name, count in self._traffic().items()}
        found: dict[str, Any] = {
            "state": self._state,
            "error": self._error,
            "notes": self._table.notes,
            "rows": self._n_rows,
            "done": self._done,
            "seconds": self._seconds or time.perf_counter() - self._start,
            "forecast_seconds": self._forecast,
            **traffic,
        }
        if self._state == "done" and self._results is not None:
            found["results"] = [self._results.row(row) for row in range(min(self._n_rows, SHOWN_ROWS))]
        return found

    def csv(self) -> bytes | None:
        """The table of scores, beside the columns that are no features; None if it is not done."""
        if self._state != "done" or self._results is None:
            return None
        pandas = import_optional("pandas", extra="datasets", purpose="Tables of scores")
        columns = self._results.columns()
        others = self._table.texts.rename(columns=lambda name: f"input_{name}" if name in columns else name)
        table = pandas.concat([others.reset_index(drop=True), pandas.DataFrame(columns)], axis=1)
        return table.to_csv(index=False, lineterminator="\n").encode()
