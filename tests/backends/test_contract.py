"""One suite over all backends: the checks that the library ships, and larger requests."""

from importlib.util import find_spec

import numpy as np
import pytest

from fhe_estimators.backends import resolve_backend
from fhe_estimators.exceptions import DecryptionError, ProtocolError
from fhe_estimators.utils.backend_checks import BACKEND_CHECKS, _exactness, check_backend
from fhe_estimators.utils.backend_checks._deployment import Deployment

#: Rows that checks encrypt: an engine that takes a second a row gets few.
N_SAMPLES = {"clear": 300, "ckks": 300, "bfv": 20, "auto": 30, **({"tfhe": 3} if find_spec("concrete") else {})}


@pytest.mark.parametrize("check", BACKEND_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("backend", N_SAMPLES)
def test_backend(backend, check):
    check(resolve_backend(backend), N_SAMPLES[backend])


@pytest.mark.parametrize("n_rows", [3000, 9000])
@pytest.mark.parametrize("backend", ["clear", "ckks"])
def test_many_rows(backend, n_rows):
    deployed = Deployment(resolve_backend(backend), 300)
    codes = np.resize(deployed.codes, (n_rows, deployed.codes.shape[1]))
    np.testing.assert_array_equal(deployed.execute(codes), deployed.expected(codes))


@pytest.mark.parametrize("backend", ["clear", "ckks"])
def test_batches_in_processes(backend):
    deployed = Deployment(resolve_backend(backend), 300)
    codes = np.resize(deployed.codes, (9000, deployed.codes.shape[1]))
    evaluator = deployed.backend.evaluator(deployed.program, n_jobs=2)
    for _ in range(2):  # other keys, same processes
        keys = deployed.client.generate_keys()
        requests = [deployed.client.encrypt(codes) for _ in range(2)]
        responses = [evaluator.run(request, keys) for request in requests]
        for response, request in zip(responses, requests, strict=True):
            np.testing.assert_array_equal(deployed.client.decrypt(response, request), deployed.expected(codes))


def test_engines_that_break_the_contract_are_found(monkeypatch):
    """The checks themselves: an engine that computes wrongly, and one that accepts anything."""
    clear = resolve_backend("clear")
    with pytest.raises(ValueError, match="at least 3"):
        check_backend(clear, n_samples=2)
    monkeypatch.setattr(Deployment, "execute", lambda self, codes: self.expected(codes) + 1)
    with pytest.raises(AssertionError, match="are not exact"):
        _exactness.check_ensembles(clear, 3)
    monkeypatch.undo()
    module = "fhe_estimators.backends.client"
    monkeypatch.setattr(f"{module}.check_identity", lambda *_, **__: None)
    monkeypatch.setattr(f"{module}.RequestLog.claim", lambda *_: None)
    found = 0
    for check in BACKEND_CHECKS:
        try:
            check(clear, 3)
        except (AssertionError, ProtocolError, DecryptionError):
            found += 1
    assert found >= 2
