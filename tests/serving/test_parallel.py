"""A request of several batches in processes, as joblib is told to."""

import numpy as np
import pytest
from joblib import parallel_config, register_parallel_backend
from joblib._parallel_backends import ThreadingBackend
from sklearn.datasets import load_iris

from fhe_estimators import FHEDecisionTreeClassifier
from tests.serving.deployments import deploy


class _Listing(ThreadingBackend):
    """Counts its uses, and returns everything at the end, as Ray's does."""

    supports_return_generator = False
    n_uses = 0

    def configure(self, *args, **kwargs):
        _Listing.n_uses += 1
        return super().configure(*args, **kwargs)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory):
    X, y = load_iris(return_X_y=True)
    clf = FHEDecisionTreeClassifier(max_depth=2, random_state=0, backend="ckks").fit(X, y).compile()
    many = X[np.random.default_rng(0).integers(len(X), size=5000)]
    return clf, many, *deploy(clf, tmp_path_factory.mktemp("wire"))


@pytest.mark.parametrize("backend", ["threading", "listing"])
def test_backends_of_joblib(deployment, backend):
    register_parallel_backend("listing", _Listing)
    clf, X, client, server = deployment
    keys, request = client.generate_keys(), client.encrypt(X)
    before = _Listing.n_uses
    with parallel_config(backend=backend, n_jobs=2):
        response = server.run(request, keys)
    np.testing.assert_array_equal(client.decrypt_predict(response, request), clf.predict(X))
    assert (_Listing.n_uses > before) == (backend == "listing")
