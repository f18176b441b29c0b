"""A model that a service has, and a client with keys for it.

What needs the libraries of services is imported in the fixtures: other tests of this folder do without them.
"""

import pytest

from fhe_estimators.serving import FHEClient


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    from tests.serving.served import iris_model

    return iris_model(folder, backend="ckks")


@pytest.fixture(scope="module")
def service(folder, model):
    from tests.serving.served import served

    limits = {"max_body_bytes": 2_000_000, "max_keys_bytes": 20_000_000, "max_rows": 100, "body_seconds": 1.0}
    with served([folder / "model.server.fhe"], **limits) as found:
        yield found


@pytest.fixture(scope="module")
def client(folder, model):
    client = FHEClient.load(folder / "model.client.fhe")
    client.generate_keys()
    return client


@pytest.fixture(scope="module")
def request_of_one_row(client, model):
    return client.encrypt(model[1][:1])
