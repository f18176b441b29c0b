"""A compiled estimator, deployed to two archives."""

from fhe_estimators.serving import FHEClient, FHEServer


def deploy(estimator, folder):
    """Client and server of an estimator."""
    estimator.save_server(folder / "server.fhe")
    estimator.save_client(folder / "client.fhe")
    return FHEClient.load(folder / "client.fhe"), FHEServer.load(folder / "server.fhe")


def round_trip(estimator, X, folder):
    """Client, and the server's response to its request."""
    client, server = deploy(estimator, folder)
    evaluation_keys = client.generate_keys()
    return client, server.run(client.encrypt(X), evaluation_keys)
