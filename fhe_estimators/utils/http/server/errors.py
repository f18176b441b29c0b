"""Refusals, and what errors of the library are to a client (server side)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....exceptions import FHEError, KeyMismatchError, MemoryBudgetError


class Refusal(Exception):
    """A request that is not answered.

    Parameters
    ----------
    status : int
        Of HTTP.
    code : str
        What programs go by: it stays the same when the sentence is improved.
    detail : str
        A sentence for people. Nothing that the client sent belongs in it.
    headers : mapping, default={}
        Of the response.
    """

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None):
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


def busy(detail: str, retry_after_seconds: float) -> Refusal:
    """Too much is under way (429): the client is told when to come again."""
    return Refusal(429, "busy", detail, {"Retry-After": str(max(1, round(retry_after_seconds)))})


def refusal_of(error: FHEError) -> Refusal:
    """An error of the library as what a client sees: their texts say what is wrong, never what a message holds."""
    if isinstance(error, KeyMismatchError):
        return Refusal(400, "key_mismatch", str(error))
    if isinstance(error, MemoryBudgetError):
        return Refusal(413, "too_much_memory", str(error))
    return Refusal(400, "malformed", str(error))


def as_json(refusal: Refusal) -> dict[str, Any]:
    """The body of a response."""
    return {"detail": refusal.detail, "code": refusal.code}
