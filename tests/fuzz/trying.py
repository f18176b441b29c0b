"""Trying a parser on many inputs."""

import tracemalloc
import warnings

from hypothesis import HealthCheck, given, settings

from fhe_estimators.exceptions import FHEError

#: Far above what any sample takes, far below what a number in a header could ask for.
MOST_BYTES = 50_000_000


def try_parser(strategy, read, *, n_examples, derandomize=False):
    """Every input is read or raises an `FHEError`, within bounded memory."""

    @settings(
        max_examples=n_examples,
        deadline=None,
        derandomize=derandomize,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(content):
        tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read(content)
        except FHEError:
            pass
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MOST_BYTES, f"{len(content)} bytes took {peak} bytes of memory"

    run()
