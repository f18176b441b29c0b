"""Which kind of server a client talks to: the errors it raises, and how they are worded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ....exceptions import FHEError


@dataclass(frozen=True)
class Peer:
    """A kind of server.

    Parameters
    ----------
    name : str
        Of the kind, with a capital.
    type_name : str
        The class that users give a URL to.
    command : str
        What starts such a server.
    example : str
        A URL.
    listing : str
        What the server is asked for first.
    size_parameter : str
        What makes requests smaller.
    error : type
        What is raised where the server refuses a request.
    """

    name: str
    type_name: str
    command: str
    example: str
    listing: str
    size_parameter: str
    error: type[FHEError]

    def unreachable(self, message: str) -> FHEError:
        """The error of a request that got no response."""
        return self.error(message)

    def refusal(
        self,
        url: str,
        status: int,
        headers: Mapping[str, str],
        body: bytes | bytearray,
        path: str,
        *,
        has_token: bool,
    ) -> FHEError:
        """The error of a response with a status of failure."""
        from .faults import status_fault

        return self.error(f"{self.name} {url} {status_fault(status, headers, body, path, self, has_token=has_token)}")
