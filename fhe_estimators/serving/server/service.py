"""A scoring service: models, keys of clients, processes and limits, apart from HTTP's routes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...exceptions import FHEError
from ...utils import memory_limit_bytes
from ...utils.http.server import Bodies, Metrics, Refusal, TokenList
from ...utils.http.server.errors import refusal_of
from .evaluation import KeysGoneError, TooManyRowsError, check_keys, evaluate
from .key_store import KeyStore
from .models import ModelSet, ServedModel
from .processes import ProcessPool

_CHECK_SECONDS = 60.0


@dataclass(frozen=True)
class Limits:
    """What a service bounds.

    Parameters
    ----------
    n_processes : int, default=None
        Evaluations at a time; None for one a processor that this process may use.
    max_waiting : int, default=64
        Requests that wait for a process; those beyond are answered 429.
    max_body_bytes : int
        Of a request for scores.
    max_held_bytes : int, default=None
        Of all requests that are being received; None for an eighth of the memory.
    max_rows : int, default=None
        Of a request, as it says.
    seconds : float, default=300
        From a request's last byte to its answer.
    body_seconds : float, default=600
        For a request to arrive.
    max_keys_bytes, client_keys_bytes, total_keys_bytes : int
        Of one file of evaluation keys, of all of a client's, and of all.
    keys_seconds : float
        After which keys that were not used are removed.
    """

    n_processes: int | None = None
    max_waiting: int = 64
    max_body_bytes: int = 1 << 28
    max_held_bytes: int | None = None
    max_rows: int | None = None
    seconds: float = 300.0
    body_seconds: float = 600.0
    max_keys_bytes: int = 1 << 30
    client_keys_bytes: int = 1 << 31
    total_keys_bytes: int = 1 << 35
    keys_seconds: float = 30 * 86_400.0


class ScoringService:
    """Everything that routes need.

    Parameters
    ----------
    archives : sequence of str
        Paths of server archives, or ``name=path``.
    tokens : TokenList, default=None
        Who may ask; None for everybody.
    limits : Limits, default=Limits()
        What is bounded.
    keys_folder : path-like, default=None
        For evaluation keys; None for a temporary one.
    rerandomize : bool, default=False
        Whether responses hide how they were computed.
    private : bool, default=False
        Whether the page, the metrics and the OpenAPI document need a token, too.
    """

    def __init__(
        self,
        archives: Sequence[str],
        *,
        tokens: TokenList | None = None,
        limits: Limits | None = None,
        keys_folder: str | os.PathLike | None = None,
        rerandomize: bool = False,
        private: bool = False,
    ):
        self.limits = limits = limits or Limits()
        self.tokens = tokens or TokenList()
        self.private = private
        self.metrics = Metrics()
        n_processes = limits.n_processes or len(os.sched_getaffinity(0))
        memory = memory_limit_bytes()
        self.pool = ProcessPool(
            n_processes,
            max_waiting=limits.max_waiting,
            options={
                "rerandomize": rerandomize,
                "memory_budget_bytes": int(0.8 * memory / n_processes),
                # parsed they take three times as much, a tenth of the memory in all
                "kept_key_bytes": int(memory / n_processes / 32),
            },
            metrics=self.metrics,
        )
        self._folder = Path(tempfile.mkdtemp(prefix="fhe_estimators-"))
        try:
            self.models = ModelSet(archives, self._folder, self.pool, self.metrics)
            self.keys = KeyStore(
                self._folder / "keys" if keys_folder is None else keys_folder,
                largest_bytes=limits.max_keys_bytes,
                client_bytes=limits.client_keys_bytes,
                total_bytes=limits.total_keys_bytes,
                seconds=limits.keys_seconds,
                metrics=self.metrics,
            )
        except BaseException:
            self.close()
            raise
        self.bodies = Bodies(seconds=limits.body_seconds, held_bytes=limits.max_held_bytes or memory // 8)
        self.is_ready = False

    async def load(self) -> None:
        """Read all models; only then it is ready."""
        await self.models.load()
        self.is_ready = True

    def close(self) -> None:
        """End the processes when they are done, and remove temporary files."""
        self.is_ready = False
        self.pool.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def register_keys(self, request: Any, client: str, model: ServedModel) -> str:
        """Evaluation keys of a client: received, checked, kept; returns the name they have."""
        self.pool.check_room()
        partial = await self.keys.receive(request, self.bodies, client, model.card["program_id"])
        try:
            await self._run(check_keys, str(partial), model.card["program_id"], seconds=_CHECK_SECONDS)
            return self.keys.keep(partial, client)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    async def score(self, request: Any, client: str, model: ServedModel, keys_id: str, seconds: float) -> bytes:
        """The response to a request of a client."""
        keys = self.keys.find(client, model.card["program_id"], keys_id)
        if keys is None:
            raise _unknown_keys()
        self.pool.check_room()
        server_archive = str(model.server_copy)
        body = await self.bodies.read(request, self.limits.max_body_bytes)

        async def is_wanted() -> bool:
            return not await request.is_disconnected()

        return await self._run(
            evaluate,
            server_archive,
            str(keys),
            body,
            self.limits.max_rows,
            seconds=min(seconds, self.limits.seconds),
            is_wanted=is_wanted,
        )

    async def _run(self, function: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return await self.pool.run(function, *arguments, affinity=":".join(arguments[:2]), **options)
        except KeysGoneError:
            raise _unknown_keys() from None
        except TooManyRowsError as error:
            raise Refusal(413, "too_many_rows", str(error)) from None
        except FHEError as error:
            raise refusal_of(error) from None


def _unknown_keys() -> Refusal:
    return Refusal(404, "unknown_keys", "These evaluation keys are not known for this model: send them again.")
