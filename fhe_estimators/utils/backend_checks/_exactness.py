"""Checks of what engines compute: the integers of the quantized ensemble, whatever its shape."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from ...backends import Backend
from ...quantizers import DataQuantizer, QuantileQuantizer, UniformQuantizer
from ._deployment import Deployment

#: Shapes of ensembles.
ENSEMBLES: list[dict[str, Any]] = [
    {"depth": 1},
    {"depth": 2, "n_trees": 1},
    {"depth": 3, "n_trees": 12},
    {"depth": 4, "leaf_probability": 0.4},
    {"depth": 6, "leaf_probability": 0.5, "n_trees": 3},
    {"depth": 3, "n_scores": 3},
    {"depth": 3, "width": 2},
    {"depth": 3, "allow_nan": False},
    {"depth": 0, "n_trees": 3},
]
QUANTIZERS: list[DataQuantizer] = [UniformQuantizer(1), UniformQuantizer(2), QuantileQuantizer(3), UniformQuantizer(4)]
_FACTS = (
    "scheme",
    "security_bits",
    "poly_modulus_degree",
    "depth",
    "n_ciphertexts",
    "upload_bytes",
    "download_bytes",
    "evaluation_key_bytes",
    "server_sees",
    "client_learns",
    "predicted_seconds",
    "peak_memory_bytes",
    "can_rerandomize",
    "flooding_bits",
)


def check_ensembles(backend: Backend, n_samples: int) -> None:
    """Trees of any shape give the integers of the ensemble in the clear, encrypted and simulated."""
    for options in ENSEMBLES:
        deployed = Deployment(backend, n_samples, **options)
        expected = deployed.expected(deployed.codes)
        for how, sums in (
            ("encrypted", deployed.execute(deployed.codes)),
            ("simulated", backend.simulate(deployed.program, deployed.codes)),
        ):
            np.testing.assert_array_equal(sums, expected, f"{how} sums of an ensemble with {options} are not exact")


def check_quantizers(backend: Backend, n_samples: int) -> None:
    """Quantizers whose bins come from data, which the client must not be able to tell apart, are exact."""
    for quantizer in QUANTIZERS:
        deployed = Deployment(backend, n_samples, quantizer=quantizer)
        sums = deployed.execute(deployed.codes)
        np.testing.assert_array_equal(sums, deployed.expected(deployed.codes), f"sums with {quantizer} are not exact")


def check_numbers_of_rows(backend: Backend, n_samples: int) -> None:
    """One row, two, and as many as the check was asked for."""
    deployed = Deployment(backend, n_samples)
    for n_rows in sorted({1, 2, n_samples}):
        codes = np.resize(deployed.codes, (n_rows, deployed.codes.shape[1]))
        np.testing.assert_array_equal(deployed.execute(codes), deployed.expected(codes), f"{n_rows} rows")


def check_programs(backend: Backend, n_samples: int) -> None:
    """A program pickles, and is restored from its ensemble and metadata, with the same identity."""
    deployed = Deployment(backend, n_samples)
    program_id = deployed.program.client_spec.program_id
    assert pickle.loads(pickle.dumps(deployed.program)).client_spec.program_id == program_id
    assert backend.load(deployed.ensemble, deployed.program.metadata()).client_spec.program_id == program_id


def check_descriptions(backend: Backend, n_samples: int) -> None:
    """``describe()`` answers what users ask, and tells the size of the keys within a tenth."""
    deployed = Deployment(backend, n_samples)
    described = deployed.program.describe()
    missing = [fact for fact in _FACTS if fact not in described]
    assert not missing, f"describe() lacks {missing}"
    expected, found = described["evaluation_key_bytes"], len(deployed.client.generate_keys())
    assert 0.9 * expected <= found <= 1.1 * expected + 1000, f"keys have {found} bytes, described are {expected}"
