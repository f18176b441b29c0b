"""The processes of a service, each with one evaluation at a time, and the queue before them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from ...utils.http.server.errors import Refusal, busy
from ...utils.http.server.metrics import Metrics
from .evaluation import prepare, process_id

T = TypeVar("T")
#: A request whose evaluation ends its process this often is refused; less often, it is evaluated again.
_MAX_DEATHS = 2
#: Clients whose parsed keys a process may still hold.
_REMEMBERED = 256
#: How often the oldest request that waits is passed over for one whose keys the free process holds.
_MAX_PASSED = 4


class EvaluationProcess:
    """One process: started when it is first needed, replaced when it dies.

    Parameters
    ----------
    options : dict
        For `evaluation.prepare`.
    """

    def __init__(self, options: dict[str, Any]):
        self._options = options
        self._executor: ProcessPoolExecutor | None = None
        self._pid: Future[int] | None = None
        #: What it may still hold in memory.
        self.recent: deque[str] = deque(maxlen=_REMEMBERED)

    @property
    def is_started(self) -> bool:
        """Whether it was needed before."""
        return self._executor is not None

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call a function in the process."""
        if self._executor is None:
            self._executor = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), initializer=prepare, initargs=(self._options,)
            )
            self._pid = self._executor.submit(process_id)
        return self._executor.submit(function, *arguments)

    def remember(self, affinity: str) -> None:
        """Note what it holds now."""
        if affinity in self.recent:
            self.recent.remove(affinity)
        self.recent.append(affinity)

    def end(self) -> None:
        """End the process at once, whatever it does; the next call starts another."""
        if self._pid is not None and self._pid.done() and self._pid.exception() is None:
            with suppress(ProcessLookupError):
                os.kill(self._pid.result(), signal.SIGKILL)
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._executor = self._pid = None
        self.recent.clear()

    def close(self) -> None:
        """End the process when what it computes is done."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)


@dataclass(eq=False)
class _Turn:
    """A request that waits for a process."""

    affinity: str
    process: asyncio.Future[EvaluationProcess]


class ProcessPool:
    """Evaluations in processes, in a queue of bounded length: first come, first served, but for keys at hand.

    A process that becomes free takes the oldest request of a client whose keys it holds parsed, and after a few of
    these the oldest of all. Otherwise each process would come to hold the keys of all clients.

    Parameters
    ----------
    n_processes : int
        Evaluations at a time.
    max_waiting : int
        Requests that wait for a process; those beyond are told to come again.
    options : dict
        For `evaluation.prepare`.
    metrics : Metrics
        Where queue, seconds and deaths are counted.
    """

    def __init__(self, n_processes: int, *, max_waiting: int, options: dict[str, Any], metrics: Metrics):
        self.max_waiting = max_waiting
        self._processes = [EvaluationProcess(options) for _ in range(n_processes)]
        self._idle = list(self._processes)
        self._waiting: list[_Turn] = []
        self._n_passed = 0
        self._mean_seconds = 0.1
        self._deaths = metrics.counter("fhe_process_deaths", "Processes that ended while they evaluated")
        self._seconds = metrics.histogram("fhe_evaluation_seconds", "In a process", "task")
        self._queue_seconds = metrics.histogram("fhe_queue_seconds", "Before a process was free")
        metrics.gauge("fhe_queue_length", "Requests that wait for a process").set_function(lambda: len(self._waiting))
        metrics.gauge("fhe_processes_busy", "Processes that evaluate").set_function(
            lambda: len(self._processes) - len(self._idle)
        )

    def check_room(self) -> None:
        """A `Refusal` if the queue is full: before a body is read for nothing."""
        n_waiting = len(self._waiting)
        if not self._idle and n_waiting >= self.max_waiting:
            wait = self._mean_seconds * (1 + n_waiting) / len(self._processes)
            raise busy(f"{n_waiting} requests wait already: come again in a while.", wait)

    async def run(
        self,
        function: Callable[..., T],
        *arguments: Any,
        affinity: str,
        seconds: float,
        is_wanted: Callable[[], Awaitable[bool]] | None = None,
    ) -> T:
        """Call a function in a process.

        Parameters
        ----------
        function : callable
            Of a module that the process can import.
        *arguments : object
            What it is called with.
        affinity : str
            Calls with the same one go to the same process if it is free: it may still hold what they need.
        seconds : float
            From now to the result. What takes longer is ended with its process.
        is_wanted : coroutine function, default=None
            Asked when a process is free: whether there is still somebody to answer.

        Raises
        ------
        Refusal
            If the queue is full, time is over, or the process died twice.
        """
        self.check_room()
        end = time.monotonic() + seconds
        process = await self._acquire(affinity, end)
        try:
            if is_wanted is not None and not await is_wanted():
                raise Refusal(499, "left", "The client left before its turn.")
            return await self._evaluate(process, function, arguments, affinity, end)
        finally:
            self._release(process)

    async def _evaluate(
        self, process: EvaluationProcess, function: Callable[..., T], arguments: Any, affinity: str, end: float
    ) -> T:
        for attempt in range(_MAX_DEATHS):
            start = time.monotonic()
            try:
                result = await asyncio.wait_for(
                    asyncio.wrap_future(process.submit(function, *arguments)), max(0.0, end - start)
                )
            except asyncio.TimeoutError:
                process.end()
                raise Refusal(504, "too_long", "The evaluation took longer than its time limit.") from None
            except BrokenProcessPool:
                self._deaths.inc()
                process.end()
                if attempt + 1 == _MAX_DEATHS:
                    break
            except asyncio.CancelledError:
                process.end()  # nobody waits for what it computes
                raise
            else:
                took = time.monotonic() - start
                self._mean_seconds += 0.2 * (took - self._mean_seconds)
                self._seconds.labels(function.__name__).observe(took)
                process.remember(affinity)
                return result
        raise Refusal(503, "process_died", "The evaluation of this request ended its process.", {"Retry-After": "1"})

    async def _acquire(self, affinity: str, end: float) -> EvaluationProcess:
        start = time.monotonic()
        if self._idle:
            best = max(self._idle, key=lambda idle: (affinity in idle.recent, idle.is_started))
            self._idle.remove(best)
            self._queue_seconds.observe(0.0)
            return best
        turn = _Turn(affinity, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        try:
            process = await asyncio.wait_for(turn.process, max(0.0, end - start))
        except asyncio.TimeoutError:
            raise Refusal(503, "too_long", "No process was free in time.", {"Retry-After": "1"}) from None
        except asyncio.CancelledError:
            if turn.process.done() and not turn.process.cancelled():
                self._release(turn.process.result())
            raise
        finally:
            if turn in self._waiting:
                self._waiting.remove(turn)
        self._queue_seconds.observe(time.monotonic() - start)
        return process

    def _release(self, process: EvaluationProcess) -> None:
        self._waiting = [turn for turn in self._waiting if not turn.process.done()]  # some may have given up
        if not self._waiting:
            self._idle.append(process)
            return
        chosen = self._waiting[0]
        if self._n_passed < _MAX_PASSED:
            chosen = next((turn for turn in self._waiting if turn.affinity in process.recent), chosen)
        self._n_passed = 0 if chosen is self._waiting[0] else self._n_passed + 1
        self._waiting.remove(chosen)
        chosen.process.set_result(process)

    def close(self) -> None:
        """End all processes when what they compute is done."""
        for process in self._processes:
            process.close()
