"""What scoring a number of rows will cost, from a model's card (client side)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Rows of a request where the engine has no batches of its own.
_DEFAULT_ROWS = 1024
_MAX_ROWS = 1 << 20


def request_rows(card: Mapping[str, Any], rows_per_request: int | None) -> int:
    """Rows of each request: what the user says, or the engine's batch, as far as the server's limit allows."""
    if rows_per_request is None:
        batch = card["describe"].get("rows_per_batch")
        rows_per_request = batch if isinstance(batch, int) and 1 <= batch <= _MAX_ROWS else _DEFAULT_ROWS
    limits = card.get("limits")
    most = limits.get("max_rows") if isinstance(limits, Mapping) else None
    return min(rows_per_request, most) if isinstance(most, int) and most >= 1 else rows_per_request


def forecast(
    card: Mapping[str, Any], n_rows: int, rows_per_request: int | None, *, keys_are_known: bool
) -> dict[str, Any]:
    """Requests, seconds and bytes of scoring rows, predicted.

    Parameters
    ----------
    card : mapping
        Of the model.
    n_rows : int
        To score.
    rows_per_request : int or None
        As the user chose it.
    keys_are_known : bool
        Whether the server has the evaluation keys already.

    Returns
    -------
    facts : dict
        ``rows``, ``requests``, ``seconds`` (of computation, one request after the other), ``upload_bytes``,
        ``download_bytes`` and ``key_bytes``.
    """
    facts = card["describe"]
    size = request_rows(card, rows_per_request)
    sizes = [size] * (n_rows // size) + ([n_rows % size] if n_rows % size else [])
    return {
        "rows": n_rows,
        "requests": len(sizes),
        "seconds": round(sum(_seconds(facts, rows) for rows in sizes), 4),
        "upload_bytes": sum(_upload_bytes(facts, rows) for rows in sizes),
        "download_bytes": sum(_batches(facts, rows) * _number(facts, "download_bytes") for rows in sizes),
        "key_bytes": 0 if keys_are_known else _number(facts, "evaluation_key_bytes"),
    }


def _number(facts: Mapping[str, Any], name: str) -> int:
    value = facts.get(name)
    return int(value) if isinstance(value, (int, float)) and 0 <= value < math.inf else 0


def _batches(facts: Mapping[str, Any], n_rows: int) -> int:
    return -(-n_rows // (_number(facts, "rows_per_batch") or n_rows))


def _upload_bytes(facts: Mapping[str, Any], n_rows: int) -> int:
    small = _number(facts, "small_request_bytes")
    if small and n_rows <= _number(facts, "rows_per_small_request"):
        return small
    return _batches(facts, n_rows) * _number(facts, "upload_bytes")


def _seconds(facts: Mapping[str, Any], n_rows: int) -> float:
    """Between the two numbers of rows that are predicted, and on along their line."""
    predicted = facts.get("predicted_seconds")
    try:
        one, thousand = float(predicted["1"]), float(predicted["1000"])  # type: ignore[index]
    except (TypeError, KeyError, ValueError):
        return 0.0
    return max(one, one + (thousand - one) * (n_rows - 1) / 999)
