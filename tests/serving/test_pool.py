"""Processes of a service: a queue of bounded length, time limits, processes that die."""

import asyncio
import os
import signal
import time

import pytest

from fhe_estimators.serving.server.processes import ProcessPool
from fhe_estimators.utils.http.server import Metrics, Refusal

pytest.importorskip("prometheus_client")


@pytest.fixture(scope="module")
def using():
    """Runs a coroutine function of a pool, in one event loop: processes start once."""
    pools = {n: ProcessPool(n, max_waiting=2, options={}, metrics=Metrics()) for n in (1, 2)}
    with asyncio.Runner() if hasattr(asyncio, "Runner") else _Runner() as runner:
        yield lambda work, n_processes=1: runner.run(work(pools[n_processes]))
        for pool in pools.values():
            pool.close()


class _Runner:
    """Of Python 3.11."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        return self

    def run(self, work):
        return self._loop.run_until_complete(work)

    def __exit__(self, *_):
        self._loop.close()


def refusal(result):
    assert isinstance(result, Refusal), result
    return result.status, result.code


def test_results_and_errors_come_back(using):
    async def work(pool):
        with pytest.raises(ZeroDivisionError):
            await pool.run(divmod, 1, 0, affinity="", seconds=60)
        return await pool.run(divmod, 7, 2, affinity="", seconds=60)

    assert using(work) == (3, 1)


def test_a_full_queue_says_when_to_come_again(using):
    async def work(pool):
        jobs = [asyncio.ensure_future(pool.run(time.sleep, 0.5, affinity="", seconds=60)) for _ in range(4)]
        return await asyncio.gather(*jobs, return_exceptions=True)

    results = using(work)
    assert results[:3] == [None] * 3  # one computed, two waited
    assert refusal(results[3]) == (429, "busy")
    assert int(results[3].headers["Retry-After"]) >= 1


def test_what_takes_too_long_is_ended_and_the_next_is_served(using):
    async def work(pool):
        start = time.monotonic()
        with pytest.raises(Refusal) as found:
            await pool.run(time.sleep, 600, affinity="", seconds=0.3)
        assert refusal(found.value) == (504, "too_long") and time.monotonic() - start < 60
        return await pool.run(divmod, 7, 2, affinity="", seconds=60)

    assert using(work) == (3, 1)


def test_who_waits_too_long_for_a_process_is_told(using):
    async def work(pool):
        first = asyncio.ensure_future(pool.run(time.sleep, 2, affinity="", seconds=60))
        await asyncio.sleep(0.1)
        with pytest.raises(Refusal) as found:
            await pool.run(divmod, 1, 1, affinity="", seconds=0.2)
        await first
        assert await pool.run(divmod, 7, 2, affinity="", seconds=60) == (3, 1)
        return refusal(found.value)

    assert using(work) == (503, "too_long")


def test_killed_processes_are_replaced_and_their_work_is_done_again(using):
    async def work(pool):
        pids = {await pool.run(os.getpid, affinity="", seconds=60)}
        jobs = [asyncio.ensure_future(pool.run(time.sleep, 0.3, affinity="", seconds=60)) for _ in range(3)]
        await asyncio.sleep(0.1)
        os.kill(next(iter(pids)), signal.SIGKILL)
        assert await asyncio.gather(*jobs) == [None] * 3
        pids.add(await pool.run(os.getpid, affinity="", seconds=60))
        return pids

    assert len(using(work)) == 2


def test_work_that_kills_every_process_is_refused(using):
    async def work(pool):
        with pytest.raises(Refusal) as found:
            await pool.run(os._exit, 3, affinity="", seconds=60)
        assert await pool.run(divmod, 7, 2, affinity="", seconds=60) == (3, 1)
        return refusal(found.value)

    assert using(work) == (503, "process_died")


def test_calls_go_where_their_keys_are(using):
    async def work(pool):
        async def both():
            return await asyncio.gather(
                pool.run(
                    eval, "(__import__('time').sleep(0.3), __import__('os').getpid())[1]", affinity="a", seconds=60
                ),
                pool.run(
                    eval, "(__import__('time').sleep(0.3), __import__('os').getpid())[1]", affinity="b", seconds=60
                ),
            )

        a, b = await both()
        assert a != b
        found = [await pool.run(os.getpid, affinity=key, seconds=60) for key in "abbaab"]
        assert found == [a, b, b, a, a, b]

    using(work, n_processes=2)


def test_clients_that_left_are_not_served(using):
    async def gone():
        return False

    async def work(pool):
        with pytest.raises(Refusal) as found:
            await pool.run(divmod, 7, 2, affinity="", seconds=60, is_wanted=gone)
        assert await pool.run(divmod, 7, 2, affinity="", seconds=60) == (3, 1)
        return found.value.code

    assert using(work) == "left"


def test_those_who_wait_are_served_where_their_keys_are_and_nobody_waits_for_ever(using):
    async def work(pool):
        assert await pool.run(divmod, 1, 1, affinity="a", seconds=60) == (1, 0)
        order, limit = [], pool.max_waiting

        async def ask(affinity):
            await pool.run(time.sleep, 0.01, affinity=affinity, seconds=60)
            order.append(affinity)

        pool.max_waiting = 20
        try:
            await asyncio.gather(ask("b"), ask("c"), *[ask("a") for _ in range(8)])
        finally:
            pool.max_waiting = limit
        return "".join(order)

    assert using(work) == "b" + "aaaa" + "c" + "aaaa"
