"""Applications over HTTP: tokens, limits, errors and metrics (server side). Payloads are never logged."""

from .application import new_application
from .bodies import Bodies
from .errors import Refusal
from .metrics import Metrics
from .tokens import TokenList

__all__ = ["Bodies", "Metrics", "Refusal", "TokenList", "new_application"]
