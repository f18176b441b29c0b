"""A compiled random ensemble with a client and an evaluator, and what checks assert with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...backends import Backend
from ...ensembles import sum_leaves
from ...quantizers import DataQuantizer, FeatureQuantizer, ThresholdQuantizer
from ._ensembles import random_ensemble, random_rows

_N_ROWS = 300


class Deployment:
    """A random ensemble, quantized and compiled by a backend, with both parties.

    Parameters
    ----------
    backend : Backend
        The engine to check.
    n_samples : int
        Rows in `codes`.
    seed : int, default=0
        The seed of the ensemble and the rows.
    quantizer : DataQuantizer, default=None
        None for the thresholds of the ensemble.
    **options
        Of `random_ensemble`.
    """

    def __init__(
        self, backend: Backend, n_samples: int, *, seed: int = 0, quantizer: DataQuantizer | None = None, **options: Any
    ):
        rng = np.random.default_rng(seed)
        self.backend = backend
        self.n_samples = n_samples
        rows = random_rows(rng, _N_ROWS)
        options = {"n_trees": 6, "depth": 3, **options}
        fitted: FeatureQuantizer
        if quantizer is None:
            ensemble = random_ensemble(rng, **options)
            fitted = ThresholdQuantizer(ensemble).fit()
        else:
            fitted = quantizer.fit(rows)
            ensemble = random_ensemble(rng, n_thresholds=2**quantizer.n_bits - 1, **options)
        codes = fitted.transform(rows)
        self.codes = (codes if ensemble.allow_nan else codes[(codes >= 0).all(axis=1)])[:n_samples]
        self.ensemble = backend.quantize(ensemble, fitted)
        self.program = backend.compile(self.ensemble, fitted)
        self.client = backend.client(self.program.client_spec)
        self.evaluator = backend.evaluator(self.program)

    def expected(self, codes: np.ndarray) -> np.ndarray:
        """What every engine must return."""
        return sum_leaves(self.ensemble, codes)

    def execute(self, codes: np.ndarray) -> np.ndarray:
        """Sums of leaves under fresh keys."""
        keys = self.client.generate_keys()
        return self.client.decrypt(self.evaluator.run(self.client.encrypt(codes), keys))

    def exchange(self, codes: np.ndarray) -> tuple[bytes, bytes]:
        """A request under fresh keys, and its response."""
        keys = self.client.generate_keys()
        request = self.client.encrypt(codes)
        return request, self.evaluator.run(request, keys)


@contextmanager
def refusal(error: type[Exception] | tuple[type[Exception], ...], match: str, what: str) -> Iterator[None]:
    """Assert that a block raises an error whose message matches; `what` says in words what was tried."""
    raised = None
    try:
        yield
    except error as caught:
        raised = caught
    names = [e.__name__ for e in error] if isinstance(error, tuple) else [error.__name__]
    assert raised is not None, f"{what} was accepted; it must be refused with {' or '.join(names)}."
    assert re.search(match, str(raised)), f"{what}: the error does not say {match!r} but {str(raised)!r}."
