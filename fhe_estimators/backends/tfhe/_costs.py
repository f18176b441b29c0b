"""What a request costs, told before it is paid: seconds and memory.

Concrete says how much work a circuit is; most of it are Fourier transforms, so a transform is measured on this machine
when it is first needed. The factor between the two was measured once.
"""

from __future__ import annotations

import os
from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
import scipy.fft

#: Environment variable that sets nanoseconds of a transform, per point and stage, instead of measuring them.
SPEED_VARIABLE = "FHE_ESTIMATORS_FFT_NANOSECONDS"
#: Concrete's unit of work, in points and stages.
_STAGES_PER_UNIT = 0.46
#: Resident memory of a process that has loaded Concrete and compiled a circuit.
_PROCESS_BYTES = 560_000_000
#: Memory that evaluation keys take while they are read, relative to their compressed size.
_KEY_EXPANSION = 6


@cache
def fft_nanoseconds() -> float:
    """Nanoseconds of a complex Fourier transform on this machine, per point and stage; measured once."""
    if SPEED_VARIABLE in os.environ:
        return float(os.environ[SPEED_VARIABLE])
    points = np.ones((64, 1024), dtype=np.complex128)

    def seconds() -> float:
        start = perf_counter()
        scipy.fft.fft(points)
        return perf_counter() - start

    return 1e9 * min(seconds() for _ in range(20)) / (points.size * 10)


def seconds_of_row(circuit: Any) -> float:
    """Seconds of a row; Concrete spreads its bootstraps over the cores."""
    return 1e-9 * fft_nanoseconds() * _STAGES_PER_UNIT * circuit.complexity / (os.cpu_count() or 1)


def peak_memory_bytes(evaluation_key_bytes: int) -> int:
    """Memory of a server process during a row: Concrete, the circuit and the keys of a client."""
    return _PROCESS_BYTES + _KEY_EXPANSION * evaluation_key_bytes
