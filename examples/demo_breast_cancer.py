"""Encrypted predictions on a whole test set.

XGBoost (50 trees of depth 3) is trained in the clear on the breast cancer data. A data owner encrypts
the test set, a server in a process of its own scores it, and the data owner decrypts the answers.
"""

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from fhe_estimators.serving import FHEClient, FHEServer


def train(server_archive, client_archive):
    """The model owner: train in the clear, compile, write one archive for each side."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import train_test_split

    from fhe_estimators import FHEGradientBoostingClassifier

    X, y = load_breast_cancer(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    clf = FHEGradientBoostingClassifier(library="xgboost", n_estimators=50, max_depth=3, random_state=0)
    clf.fit(X_train, y_train).compile()
    clf.save_server(server_archive)
    clf.save_client(client_archive)
    return clf, X_test, y_test


def serve(server_archive, request, evaluation_keys):
    """The server: a process that has neither the rows nor the secret key."""
    server = FHEServer.load(server_archive)
    start = time.perf_counter()
    response = server.run(request, evaluation_keys)
    first = time.perf_counter() - start
    start = time.perf_counter()
    server.run(request, evaluation_keys)
    return response, first, time.perf_counter() - start


def timed(function, *arguments):
    """Result and seconds of a call."""
    start = time.perf_counter()
    result = function(*arguments)
    return result, time.perf_counter() - start


def encrypted_predictions(client, X, server_archive):
    """Labels, margins and figures of one encrypted request."""
    evaluation_keys, keygen_seconds = timed(client.generate_keys)
    request, encrypt_seconds = timed(client.encrypt, X)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        response, first_seconds, evaluate_seconds = pool.submit(
            serve, server_archive, request, evaluation_keys
        ).result()
    labels, decrypt_seconds = timed(client.decrypt_predict, response)
    total = encrypt_seconds + evaluate_seconds + decrypt_seconds
    figures = {
        "generate keys": f"{keygen_seconds:.3f} s, once",
        "encrypt": f"{encrypt_seconds:.3f} s",
        "evaluate (server)": f"{evaluate_seconds:.3f} s ({first_seconds:.3f} s the first time)",
        "decrypt": f"{decrypt_seconds:.4f} s",
        "altogether, a row": f"{1e3 * total / len(X):.2f} ms",
        "evaluation keys": f"{len(evaluation_keys) / 1e6:.2f} MB, once",
        "upload": f"{len(request) / 1e6:.2f} MB",
        "download": f"{len(response) / 1e3:.0f} kB",
        "what the server saw": f"{len(X)} rows as ciphertexts, beginning {request[-4096:-4080].hex()}",
    }
    return labels, client.decrypt_scores(response), figures


def main():
    with tempfile.TemporaryDirectory() as folder:
        server_archive, client_archive = Path(folder, "model.server.fhe"), Path(folder, "model.client.fhe")
        clf, X, y = train(server_archive, client_archive)
        client = FHEClient.load(client_archive)
        labels, margins, figures = encrypted_predictions(client, X, server_archive)

    float_model = clf.estimator_
    error = abs(margins - float_model.predict(X, output_margin=True)).max()
    facts = clf.program_.describe()
    table = {
        "encryption": f"{facts['scheme']}; N = {facts['poly_modulus_degree']}, {facts['security_bits']} bits secure",
        "accuracy": f"{(labels == y).mean():.4f} encrypted, {float_model.score(X, y):.4f} float model",
        "labels as the float model's": f"{(labels == float_model.predict(X)).sum()} of {len(X)}",
        "largest margin error": f"{error:.1e}",
        "exact (quantized model)": f"{(margins == clf.decision_function(X)).sum()} of {len(X)}",
        **figures,
    }
    print(f"XGBoost 50 x depth 3, breast cancer, {len(X)} encrypted rows of {X.shape[1]} features\n")
    for name, value in table.items():
        print(f"  {name:<28} {value}")


if __name__ == "__main__":
    main()
